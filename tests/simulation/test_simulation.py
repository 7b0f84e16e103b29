"""A thousand weeks of small shops under faults, and planted bugs that the invariants must notice."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SIMULATE = Path(__file__).with_name("simulate.py")
# Each process writes to a folder of its own, so two cores halve the time.
JOBS = min(2, os.cpu_count() or 1)
MIN_BUGS = 25


def simulate(*arguments):
    """Runs the simulator; returns (exit code, standard output, standard error)."""
    ended = subprocess.run([sys.executable, SIMULATE, "--jobs", str(JOBS), *map(str, arguments)], capture_output=True,
                           text=True, timeout=1200, check=False)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture(scope="module")
def lives(pytestconfig):
    """Number of weeks, and the lines that the simulator printed."""
    weeks = 1_040 if pytestconfig.getoption("--campaign") == "short" else 20_800
    code, output, errors = simulate("--weeks", weeks)
    assert (code, errors) == (0, "")
    return weeks, output.splitlines()


def test_a_thousand_weeks_under_faults_violate_no_invariant(lives):
    weeks, lines = lives
    assert lines[-1].startswith(f"{weeks:,} weeks without a violation in ")
    assert sorted(int(re.match(r"life (\d+): \d{2,3} steps, trace \w+$", line)[1]) for line in lines[:-1]) == [
        *range(weeks // 52)]


def test_planted_bugs_are_noticed_within_two_thousand_weeks(pytestconfig):
    """Every second bug; all of them in the long form."""
    every = 2 if pytestconfig.getoption("--campaign") == "short" else 1
    code, output, errors = simulate("--bugs", "--seed", 7, "--every", every)
    missed = [line for line in output.splitlines() if not line.startswith("after ")]
    assert (code, missed, errors) == (0, [], "")
    assert len(output.splitlines()) >= MIN_BUGS


def test_the_same_life_has_the_same_trace_in_another_process(lives):
    code, output, _ = simulate("--life", 0, "--trace")
    *steps, life, _ = output.splitlines()
    assert code == 0
    assert len(steps) > 100
    assert all(step.startswith("week ") for step in steps)
    assert [line for line in lives[1] if line.startswith("life 0: ")] == [life]


def test_a_violation_prints_its_seed_and_the_few_steps_that_are_needed():
    code, _, errors = simulate("--seed", 7, "--weeks", 52, "--bug", "counts decay twice in a window")
    first, *_, last = errors.splitlines()
    assert code == 1
    assert first.startswith("seed 7, life 0, after ")
    assert first.endswith("steps: counts add up")
    assert last == "run it again: make simulate SEED=7 LIFE=0 BUG='counts decay twice in a window'"
    steps = [line.split(": ")[1].split(" (")[0] for line in errors.splitlines() if line.startswith("  week ")]
    assert steps == ["log", "dataset", "log", "dataset"]
