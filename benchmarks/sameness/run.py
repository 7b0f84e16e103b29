"""Runs the scenarios on two commits and compares what they wrote."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from sameness.checkouts import checkout
from sameness.comparison import Outcome, compare
from sameness.contents import read_folder
from sameness.planted_logs import write_logs
from sameness.processes import Command, run_chains
from sameness.scenarios import SCENARIOS, Scenario

HERE = Path(__file__).parent
# One thread a process: two run side by side, and the order of sums must not depend on how threads share the work.
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1",
               "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "COLUMNS": "120",
               "TERM": "dumb", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONDONTWRITEBYTECODE": "1"}
EXTRA = "assets.extra/golden_requests.tfrecord"  # of an exported version
ANSWERS = "answers.npz"


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two commits.

    Attributes:
      name: "base" or "here".
      commit: its full hash.
      changes: settings (KEY=VALUE) that only this side receives.
    """

    name: str
    commit: str
    changes: Sequence[str] = ()


def run_and_compare(repository: Path, sides: Sequence[Side], names: Sequence[str], folder: Path, *, at_once: int
                    ) -> tuple[list[Outcome], list[str]]:
    """Runs scenarios on both sides, base first.

    Args:
      repository: that has both commits.
      sides: the two sides.
      names: of the scenarios.
      folder: empty folder for checkouts, logs and results.
      at_once: processes at a time.

    Returns:
      The outcome for each content, and the files whose contents were not compared.

    Raises:
      CouldNotRunError: a commit cannot be checked out, or a command failed.
    """
    write_logs(folder / "logs")
    with contextlib.ExitStack() as stack:
        chains = []
        checkouts = [stack.enter_context(checkout(repository, side.commit, folder / f"checkout_{side.name}"))
                     for side in sides]
        for name in names:
            chains += [_chain(folder, SCENARIOS[name], side, path)
                       for side, path in zip(sides, checkouts, strict=True)]
        run_chains(chains, at_once=at_once)
    base, here = (folder / side.name for side in sides)
    run_chains([_answers(folder, base, here)], at_once=1)
    (found, others), (changed, more) = read_folder(base), read_folder(here)
    return compare(found, changed), sorted({*others, *more})


def _chain(folder: Path, scenario: Scenario, side: Side, path: Path) -> list[Command]:
    output = folder / side.name / scenario.name
    output.mkdir(parents=True)
    commands = []
    for number in range(len(scenario.processes)):
        plan = folder / f"{side.name} {scenario.name} {number}.json"
        plan.write_text(json.dumps(scenario.plan(number, path, side.changes), indent=1))
        commands.append(Command([sys.executable, "-P", str(HERE / "driver.py"), str(plan)], output,
                                plan.with_suffix(".log"), ENVIRONMENT | {"PYTHONPATH": str(path)}))
    return commands


def _answers(folder: Path, base: Path, here: Path) -> list[Command]:
    """Sends the requests of the base's exported models to the models of both sides."""
    jobs = [{"model": str(side / model), "own": str(side / model / EXTRA), "sent": str(base / model / EXTRA),
             "output": str(side / model / ANSWERS)} for model in _models(base) & _models(here) for side in (base, here)]
    path = folder / "answers.json"
    path.write_text(json.dumps(jobs))
    return [Command([sys.executable, "-P", str(HERE / "answers.py"), str(path)], folder, path.with_suffix(".log"),
                    ENVIRONMENT)] if jobs else []


def _models(side: Path) -> set[str]:
    """Returns the exported versions that have requests, relative to a side's folder."""
    return {path.parents[1].relative_to(side).as_posix() for path in side.rglob(EXTRA)}
