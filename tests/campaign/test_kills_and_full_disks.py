"""A stage is killed at a file operation, or its disk is full from a write on; the same command then succeeds.

The long form takes every operation, but at most ``--campaign-points`` of a stage, spread evenly.
"""

from pathlib import Path
from typing import NamedTuple

import pytest
from faulty_commands import SUPPORTED, Commands, commands
from stage_trials import HELD, Trials
from stages import MODULES, STAGES, Inputs

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="the layer that injects faults needs Linux and a C compiler")

# Stages of the short form.
SHORT = ("index --overwrite",)


class Workshop(NamedTuple):
    """A process that runs commands, inputs of the stages and a folder to work in."""

    commands: Commands
    inputs: Inputs
    work: Path


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stages")
    with commands(folder, *MODULES) as started:
        (folder / "inputs").mkdir()
        yield Workshop(started, Inputs(started, folder / "inputs"), folder / "work")


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_survives(name, workshop, outcomes, campaign_size, pytestconfig):
    wanted = campaign_size(2 if name in SHORT else 0, pytestconfig.getoption("--campaign-points"))
    if not wanted:
        pytest.skip("only in the long form")
    trials = Trials(STAGES[name], *workshop)
    run(f"killed: {name}", trials.killed, numbers(trials.expected.operations + 1, wanted), outcomes)
    run(f"disk full: {name}", trials.disk_full, numbers(trials.expected.writes, wanted), outcomes)
    for fault in ("killed", "disk full"):
        outcomes.require_all_held(f"{fault}: {name}")


def run(kind, trial, points, outcomes):
    for at in points:
        verdict = trial(at)
        if verdict.outcome == HELD:
            outcomes.held(kind)
        else:
            getattr(outcomes, verdict.outcome)(kind, f"operation {at}", verdict.reason)


def numbers(total, wanted):
    """At most the wanted numbers from 1 to the total, spread evenly, the last one among them."""
    wanted = min(total, wanted)
    return sorted({total - round(index * total / wanted) for index in range(wanted)})


def test_numbers_are_spread_evenly_up_to_the_last():
    assert numbers(10, 4) == [2, 5, 8, 10]
    assert numbers(10, 1) == [10]
    assert numbers(3, 100) == [1, 2, 3]
