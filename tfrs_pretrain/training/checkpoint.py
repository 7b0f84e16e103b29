"""Checkpoints of a run that is still training: written atomically, verified when read, pruned to the newest.

::

    <output>.checkpoints/step-000000123/<number>-<variable>.npy   every variable: tables, optimizer state, step counters
    <output>.checkpoints/step-000000123/manifest.json             progress and digests; written last
    <output>.checkpoints/damaged-step-000000100-1/                could not be read when the run resumed; never pruned

A checkpoint is renamed into place when it is complete, so a killed writer leaves no folder that looks finished. Tables
are whole arrays whatever their placement is, so a run can resume on another number of replicas.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.artifact_names import CHECKPOINT_KIND
from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.config import first_difference
from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.output_folders import remove_folder, staged_folder
from tfrs_pretrain.training.checkpoint_files import (
    DamagedCheckpointError,
    NonFiniteVariableError,
    OtherVariablesError,
    read_variables,
    write_variables,
)
from tfrs_pretrain.training.output_lock import output_lock
from tfrs_pretrain.vertex_environment import CHECKPOINTS, vertex_folder

Variables = Sequence[tf.Variable | PlacedVariable]

FORMAT = 4  # raise it when the manifest or the JSON of TrainingProgress changes: older checkpoints are then refused


def checkpoint_folder(output: Path) -> Path:
    """The folder for the checkpoints of a stage that writes ``output``: beside it, or where Vertex AI names one."""
    if (folder := vertex_folder(CHECKPOINTS)) is None:
        return output.with_name(f"{output.name}.checkpoints")
    # One folder receives those of all stages and rounds of a job.
    return folder / f"{output.name}-{json_digest(str(output.absolute()))[:8]}.checkpoints"


def without_replicas(run: dict[str, Any]) -> dict[str, Any]:
    """A run's identity for its checkpoints: it may resume on another number of replicas, with equal results to 1e-6."""
    return {name: value for name, value in run.items() if name != "replicas"}


@dataclasses.dataclass(frozen=True)
class RestoredCheckpoint:
    """The checkpoint that ``Checkpoints.restore`` read.

    Attributes:
      path: its folder.
      step: steps of the whole run at that point.
      progress: the JSON value that was passed to ``save``.
    """

    path: Path
    step: int
    progress: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run.

    Args:
      folder: where to store them; ``exclusive`` or the first ``save`` creates it.
      run: JSON value that determines the run's result (configuration, data); checkpoints of another run are refused.
      keep: number of checkpoints to keep, the newest ones.
      writes: whether this process writes; of several workers only one does.

    Attributes:
      damaged: checkpoints that the last ``restore`` could not read, each with the reason.
    """

    def __init__(self, folder: Path, run: dict[str, Any], *, keep: int, writes: bool = True):
        self.folder, self._keep, self._writes = folder, keep, writes
        self._run = {"checkpoint_format": FORMAT, **run}
        self.damaged: tuple[str, ...] = ()

    def exclusive(self) -> AbstractContextManager[None]:
        """Context in which no other process can train into the same output.

        Raises:
          UserError: on entry, if another process is training into it or the folder cannot be created.
        """
        return output_lock(self.folder) if self._writes else contextlib.nullcontext()

    @property
    def paths(self) -> list[Path]:
        """Finished checkpoints in the order of their steps."""
        entries = self.folder.glob("step-*") if self.folder.is_dir() else ()
        return sorted(path for path in entries if path.is_dir())

    def save(self, step: int, variables: Variables, progress: dict[str, Any]) -> None:
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
        target = self.folder / f"step-{step:09d}"
        try:
            with staged_folder(target, overwrite=True) as stage:
                names = write_variables(stage, _placed(variables))
                write_manifest(stage, CHECKPOINT_KIND, {
                    "variables": names, "progress": progress, "run": self._run, "step": step})
        except NonFiniteVariableError as error:
            raise UserError(f"variable {str(error)!r} is not finite, so no checkpoint was written (last good "
                            f"checkpoint: {self.describe()}): lower the learning rate") from error
        except OSError as error:
            raise UserError(f"checkpoint {str(self.folder)!r} cannot be written ({error}): free some space, then run "
                            "the same command again; it resumes from the last checkpoint") from error
        self._prune(written=target)

    def restore(self, variables: Variables) -> RestoredCheckpoint | None:
        """Set the variables to the newest undamaged checkpoint; None, and no change, if there is none.

        Damaged checkpoints are renamed to ``damaged-<name>-<number>``, so that they do not count as the newest ones
        when the run repeats their steps.

        Raises:
          UserError: the checkpoints belong to a run with another configuration or dataset, or to another version.
        """
        self.damaged, placed = (), _placed(variables)
        for path in reversed(self.paths):
            try:
                restored, values = self._read(path, placed)
            except DamagedCheckpointError as error:
                self.damaged += (f"{path.name} ({error})",)
                self._set_aside(path)
                continue
            for variable, value in zip(placed, values, strict=True):
                variable.assign(value)
            return restored
        return None

    def remove(self) -> None:
        """Delete all checkpoints; call it when the run has written its result."""
        if self._writes:
            remove_folder(self.folder)

    def remove_own(self) -> bool:
        """Delete what a killed run left after it had written its result.

        Returns:
          False if these are checkpoints of another run, or another process is training: nothing is deleted.
        """
        try:
            with self.exclusive():
                own = all(_read_manifest(path)["run"] == self._run for path in self.paths)
                if own:
                    self.remove()
                return own
        except (DamagedCheckpointError, UserError):
            return False

    def describe(self) -> str:
        """The newest checkpoint, for messages."""
        return repr(str(self.paths[-1])) if self.paths else "none yet"

    def _read(self, path: Path, variables: Sequence[PlacedVariable]) -> tuple[RestoredCheckpoint, list[np.ndarray]]:
        manifest = _read_manifest(path)
        self._check_run(manifest)
        try:
            values = read_variables(path, manifest, variables)
        except OtherVariablesError as error:
            raise self._other_version(manifest, str(error)) from error
        return RestoredCheckpoint(path, manifest["step"], manifest["progress"]), values

    def _check_run(self, manifest: dict[str, Any]) -> None:
        if (found := manifest["run"].get("checkpoint_format")) != FORMAT:
            raise self._other_version(manifest, f"format {found or 1}, expected {FORMAT}")
        difference = first_difference(manifest["run"], self._run)
        if difference:
            raise UserError(f"checkpoints {str(self.folder)!r} belong to another run, first difference in "
                            f"{difference}: use the same configuration and dataset, or remove that folder")

    def _other_version(self, manifest: dict[str, Any], difference: str) -> UserError:
        return UserError(f"checkpoints {str(self.folder)!r} were written by another version of this program, "
                         f"{manifest.get('code_version')} ({difference}): finish the run with that version, or remove "
                         "that folder to start from the beginning")

    def _set_aside(self, path: Path) -> None:
        if not self._writes:
            return
        targets = (self.folder / f"damaged-{path.name}-{number}" for number in itertools.count(1))
        target = next(target for target in targets if not target.exists())
        with contextlib.suppress(OSError):  # a folder that cannot be renamed stays; pruning by age spares newer ones
            path.rename(target)

    def _prune(self, written: Path) -> None:
        """Remove all but the checkpoints that were written last, whatever their steps are."""
        by_age = sorted(self.paths, key=lambda path: (path == written, path.stat().st_mtime_ns))
        for path in by_age[:-self._keep]:
            remove_folder(path)
        for leftover in self.folder.glob(".step-*.unfinished-*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _placed(variables: Variables) -> list[PlacedVariable]:
    return [PlacedVariable.of(variable) for variable in variables]


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = read_manifest(path, CHECKPOINT_KIND)
    except UserError as error:
        raise DamagedCheckpointError("its manifest cannot be read") from error
    types = {"progress": dict, "run": dict, "step": int}
    if not all(isinstance(manifest.get(key), expected) for key, expected in types.items()):
        raise DamagedCheckpointError("its manifest is incomplete")
    return manifest
