"""Read experiment files, with one log or with several.

With several logs, ``logs`` is a mapping of names to sources. Each entry may have its own ``config`` and ``set``, and
becomes an experiment of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tfrs_pretrain.config.load import read_yaml, validation_message
from tfrs_pretrain.config.migration import migrate_experiment, notices
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.definition import Experiment
from tfrs_pretrain.names import check_folder_name

OWN_KEYS = ("config", "set")  # keys of the file that an entry of ``logs`` may have, too


def log_names(path: Path) -> list[str]:
    """Return the names of the logs; empty for a file with one log.

    Raises:
      UserError: the file is missing or not YAML, or a name cannot be that of a folder.
    """
    logs = _logs(read_yaml(str(path), "experiment"))
    for name in logs:
        try:
            check_folder_name(str(name))
        except ValueError as error:
            raise UserError(f"experiment {str(path)!r}: logs: {name!r} cannot be the name of a folder ({error}): "
                            "rename the log") from error
    return [str(name) for name in logs]


def load_experiment(path: Path, log: str | None = None) -> Experiment:
    """Read and validate an experiment file.

    Args:
      path: experiment file.
      log: name of the log, in a file with several.

    Raises:
      UserError: the file is missing or not YAML, a key is unknown, a value is out of range, a file with several logs is
        read without a name, or one with a single log has a goal.
    """
    tree = read_yaml(str(path), "experiment")
    where = f"experiment {str(path)!r}"
    if log is not None:
        tree, where = _for_log(tree, log, where), f"{where}, log {log}"
    elif names := log_names(path):
        raise UserError(f"{where} has several logs: name one of {names}")
    elif tree.get("goal"):
        raise UserError(f"{where}: goal is for several logs: give logs names, or remove goal")
    tree, changes = migrate_experiment(tree)
    notices.show(where, changes)
    try:
        return Experiment.model_validate(tree)
    except ValidationError as error:
        shown = "experiments/completejourney.yaml shows them"
        raise UserError(validation_message(where, error, shown, tree)) from error


def _logs(tree: Mapping[str, Any]) -> Mapping[Any, Any]:
    """Return the named logs of a file; empty if it has one log."""
    logs = tree.get("logs")
    return logs if isinstance(logs, dict) and not isinstance(logs.get("source"), str) else {}


def _for_log(tree: Mapping[str, Any], log: str, where: str) -> dict[str, Any]:
    """Return the file's content with one of its logs only."""
    entry = _logs(tree).get(log)
    if not isinstance(entry, dict) or not isinstance(own := entry.get("set") or {}, dict):
        raise UserError(f"{where}: logs.{log} must be a mapping with the key source, and set another one: see "
                        "experiments/transfer.yaml")
    return {**tree, "title": f"{tree.get('title')}: {log}", "config": entry.get("config", tree.get("config")),
            "set": {**(tree.get("set") or {}), **own},
            "logs": {key: value for key, value in entry.items() if key not in OWN_KEYS}}
