"""Run an experiment on each of its logs, and summarize the results of all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import STREAM_KIND
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.definition import ProvidedLogs
from tfrs_pretrain.experiments.experiment_file import load_experiment, log_names
from tfrs_pretrain.experiments.experiment_plan import Selection
from tfrs_pretrain.output_folders import inside
from tfrs_pretrain.reporting.log_summary import write_log_summary
from tfrs_pretrain.results.log_summary import Target, summarize_log, summarize_stream_log


@dataclasses.dataclass(frozen=True)
class SelectedLogs:
    """The logs to run.

    Attributes:
      selections: name of a log -> options of its experiment.
      without_data: names of the logs whose folder was not given.
    """

    selections: Mapping[str, Selection]
    without_data: Sequence[str]


def select_logs(path: Path, requested: Sequence[str], data: Sequence[str], arms: Sequence[str], seeds: Sequence[int]
                ) -> SelectedLogs:
    """Return the options of each log of a file with several logs.

    Args:
      path: experiment file.
      requested: names of the logs to run. Empty: all that are generated or have a folder.
      data: ``NAME=FOLDER`` for each provided log.
      arms, seeds: as in ``Selection``.

    Raises:
      UserError: a name is unknown, ``data`` is not of this form, or a requested log has no folder.
    """
    names, folders = log_names(path), _folders(data)
    for option, given in (("--log", requested), ("--data", folders)):
        if unknown := [name for name in given if name not in names]:
            raise UserError(f"{option} {unknown[0]!r} is not one of the logs {names}")
    chosen = [name for name in names if name in requested or not requested]
    missing = [name for name in chosen if name not in folders and _is_provided(path, name)]
    if requested and missing:
        raise UserError(f"log {missing[0]!r} is not generated: name its folder with --data {missing[0]}=FOLDER")
    return SelectedLogs({name: Selection(folders.get(name), arms, seeds, name) for name in chosen
                         if name not in missing}, missing)


def run_logs(path: Path, output: Path, selected: SelectedLogs, run: Callable[[Path, Selection], Mapping[str, Any]]
             ) -> dict[str, Any]:
    """Run the experiment of each log in a subfolder, and write the summary of those that finished.

    Args:
      path: experiment file.
      output: output folder.
      selected: the logs.
      run: runs one experiment in the given folder and returns the content of its ``results.json``. If it raises
        UserError, the other logs run all the same.

    Returns:
      the content of ``summary.json``.

    Raises:
      UserError: no log finished.
    """
    logs: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for name, selection in selected.selections.items():
        target = _target(path, name)
        try:
            results = run(inside(output, name), selection)
            logs[name] = summarize_stream_log(results) if results.get("kind") == STREAM_KIND else summarize_log(
                results, target)
        except UserError as error:
            failures[name] = str(error)
    if not logs:
        reasons = [f"{name}: {reason}" for name, reason in failures.items()] or ["no log has a folder (--data)"]
        raise UserError(f"no log finished; first reason: {reasons[0]}")
    summary = {"logs": logs, "failures": failures, "without_data": list(selected.without_data)}
    write_log_summary(output, summary)
    return summary


def _is_provided(path: Path, name: str) -> bool:
    return isinstance(load_experiment(path, name).logs, ProvidedLogs)


def _target(path: Path, name: str) -> Target | None:
    goal = load_experiment(path, name).goal
    return Target(goal.arm, goal.best, goal.share) if goal else None


def _folders(data: Sequence[str]) -> dict[str, Path]:
    parts = [entry.partition("=") for entry in data]
    if wrong := [entry for entry, (name, _, folder) in zip(data, parts, strict=True) if not name or not folder]:
        raise UserError(f"--data {wrong[0]!r} must be NAME=FOLDER, because the experiment has several logs")
    return {name: Path(folder) for name, _, folder in parts}
