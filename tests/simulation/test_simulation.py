"""A thousand weeks of small shops under faults, and planted bugs that the invariants must notice."""

import os
import subprocess
import sys
from pathlib import Path

SIMULATE = Path(__file__).with_name("simulate.py")
# Each process writes to a folder of its own, so two cores halve the time.
JOBS = min(2, os.cpu_count() or 1)
MIN_BUGS = 25


def simulate(*arguments):
    """Runs the simulator; returns (exit code, standard output, standard error)."""
    ended = subprocess.run([sys.executable, SIMULATE, "--jobs", str(JOBS), *map(str, arguments)], capture_output=True,
                           text=True, timeout=900, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def test_a_thousand_weeks_under_faults_violate_no_invariant(pytestconfig):
    weeks = 1_040 if pytestconfig.getoption("--campaign") == "short" else 20_800
    code, output, errors = simulate("--weeks", weeks)
    assert (code, errors) == (0, "")
    assert output.startswith(f"{weeks:,} weeks without a violation in ")


def test_every_planted_bug_is_noticed_within_two_thousand_weeks():
    code, output, errors = simulate("--bugs", "--seed", 7)
    missed = [line for line in output.splitlines() if not line.startswith("after ")]
    assert (code, missed, errors) == (0, [], "")
    assert len(output.splitlines()) >= MIN_BUGS


def test_the_same_life_has_the_same_trace_in_every_process():
    traces = [simulate("--life", 0, "--seed", 3, "--trace") for _ in range(2)]
    assert [code for code, *_ in traces] == [0, 0]
    first, again = ([line for line in output.splitlines() if line.startswith("week ")] for _, output, _ in traces)
    assert len(first) > 100
    assert first == again


def test_a_violation_prints_its_seed_and_the_few_steps_that_are_needed():
    code, _, errors = simulate("--seed", 7, "--weeks", 52, "--bug", "counts decay twice in a window")
    first, *_, last = errors.splitlines()
    assert code == 1
    assert first.startswith("seed 7, life 0, after ")
    assert first.endswith("steps: counts add up")
    assert last == "run it again: make simulate SEED=7 LIFE=0 BUG='counts decay twice in a window'"
    steps = [line.split(": ")[1].split(" (")[0] for line in errors.splitlines() if line.startswith("  week ")]
    assert steps == ["log", "dataset", "log", "dataset"]
