"""Checkpoints of a run that is still training: written atomically, verified when read, pruned to the newest.

::

    <output>.checkpoints/step-000000123/<number>-<variable>.npy   every variable: tables, optimizer state, step counters
    <output>.checkpoints/step-000000123/manifest.json             progress and digests; written last

A checkpoint is renamed into place when it is complete, so a killed writer leaves no folder that looks finished.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrs_pretrain.artifacts import read_manifest, staged_folder, write_manifest
from tfrs_pretrain.config import first_difference
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.checkpoint_files import (
    DamagedCheckpointError,
    NonFiniteVariableError,
    read_variables,
    write_variables,
)
from tfrs_pretrain.training.output_lock import output_lock

KIND = "checkpoint"
FORMAT = 2  # raise it when the JSON of TrainingProgress changes: older checkpoints are then refused


def checkpoint_folder(output: Path) -> Path:
    """The folder for the checkpoints of a stage that writes ``output``."""
    return output.with_name(f"{output.name}.checkpoints")


@dataclasses.dataclass(frozen=True)
class RestoredCheckpoint:
    """The checkpoint that ``Checkpoints.restore`` read.

    Attributes:
      path: its folder.
      step: steps of the whole run at that point.
      progress: the JSON value that was passed to ``save``.
      damaged: newer checkpoints that could not be used, each with the reason.
    """

    path: Path
    step: int
    progress: dict[str, Any]
    damaged: tuple[str, ...]


class Checkpoints:
    """The checkpoints of one run.

    Args:
      folder: where to store them; ``exclusive`` or the first ``save`` creates it.
      run: JSON value that determines the run's result (configuration, data); checkpoints of another run are refused.
      keep: number of checkpoints to keep, the newest ones.
      writes: whether this process writes; of several workers only one does.
    """

    def __init__(self, folder: Path, run: dict[str, Any], *, keep: int, writes: bool = True):
        self.folder, self._keep, self._writes = folder, keep, writes
        self._run = {"checkpoint_format": FORMAT, **run}

    def exclusive(self) -> AbstractContextManager[None]:
        """Context in which no other process can train into the same output.

        Raises:
          UserError: on entry, if another process is training into it or the folder cannot be created.
        """
        return output_lock(self.folder) if self._writes else contextlib.nullcontext()

    @property
    def paths(self) -> list[Path]:
        """Finished checkpoints, the oldest first."""
        entries = self.folder.glob("step-*") if self.folder.is_dir() else ()
        return sorted(path for path in entries if path.is_dir())

    def save(self, step: int, variables: Sequence[tf.Variable], progress: dict[str, Any]) -> None:
        """Write a checkpoint and remove all but the newest ones.

        Args:
          step: steps of the whole run.
          variables: all that training changes, always in the same order.
          progress: JSON value that ``restore`` returns: position in the data and metrics so far.

        Raises:
          UserError: a variable contains NaN or infinity, or a file cannot be written.
        """
        if not self._writes:
            return
        try:
            with staged_folder(self.folder / f"step-{step:09d}", overwrite=True) as stage:
                files = write_variables(stage, variables)
                write_manifest(stage, KIND, {"files": files, "progress": progress, "run": self._run, "step": step})
        except NonFiniteVariableError as error:
            raise UserError(f"variable {str(error)!r} is not finite, so no checkpoint was written (last good "
                            f"checkpoint: {self.describe()}): lower the learning rate") from error
        except OSError as error:
            raise UserError(f"checkpoint {str(self.folder)!r} cannot be written ({error}): free some space, then run "
                            "the same command again; it resumes from the last checkpoint") from error
        self._prune()

    def restore(self, variables: Sequence[tf.Variable]) -> RestoredCheckpoint | None:
        """Set the variables to the newest undamaged checkpoint; None, and no change, if there is none.

        Raises:
          UserError: the checkpoints belong to a run with another configuration or dataset.
        """
        damaged: list[str] = []
        for path in reversed(self.paths):
            try:
                manifest = _read_manifest(path)
                self._check_run(manifest)
                values = read_variables(path, manifest["files"], variables)
            except DamagedCheckpointError as error:
                damaged.append(f"{path.name} ({error})")
                continue
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            return RestoredCheckpoint(path, manifest["step"], manifest["progress"], tuple(damaged))
        return None

    def remove(self) -> None:
        """Delete all checkpoints; call it when the run has written its result."""
        if self._writes:
            shutil.rmtree(self.folder, ignore_errors=True)

    def describe(self) -> str:
        """The newest checkpoint, for messages."""
        return repr(str(self.paths[-1])) if self.paths else "none yet"

    def _check_run(self, manifest: dict[str, Any]) -> None:
        difference = first_difference(manifest["run"], self._run)
        if difference:
            raise UserError(f"checkpoints {str(self.folder)!r} belong to another run, first difference in "
                            f"{difference}: use the same configuration and dataset, or remove that folder")

    def _prune(self) -> None:
        for path in self.paths[:-self._keep]:
            shutil.rmtree(path, ignore_errors=True)
        for leftover in self.folder.glob(".step-*.unfinished-*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        return read_manifest(path, KIND)
    except UserError as error:
        raise DamagedCheckpointError("its manifest cannot be read") from error
