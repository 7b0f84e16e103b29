"""Checkpoints of a stage that is still training: atomic, verified when read, kept by count.

::

    <output>.checkpoints/step-000000123/<number>-<variable>.npy   every variable: tables, optimizer state, step counters
    <output>.checkpoints/step-000000123/manifest.json             position, metrics, digests; the folder's last file

A checkpoint is a folder that is renamed into place, so a killed writer leaves none that looks finished.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.artifacts import file_digest, read_manifest, staged_folder, write_manifest
from tfrs_pretrain.config import first_difference
from tfrs_pretrain.embeddings.tables import local
from tfrs_pretrain.errors import UserError

KIND = "checkpoint"


def checkpoint_folder(output: Path) -> Path:
    """Where a stage that writes ``output`` keeps its checkpoints."""
    return output.with_name(f"{output.name}.checkpoints")


@dataclasses.dataclass(frozen=True)
class Restored:
    """What was read.

    Attributes:
      path: the checkpoint.
      step: steps done in the whole run.
      progress: as given to ``save``.
      damaged: newer checkpoints that could not be used, each with the reason.
    """

    path: Path
    step: int
    progress: dict[str, Any]
    damaged: tuple[str, ...]


class Checkpoints:
    """The checkpoints of one run.

    Args:
      folder: where they lie; made at the first ``save``.
      run: JSON value that decides the run's result (configuration, data); another run's checkpoints are refused.
      keep: how many to keep, the newest ones.
      writes: whether this process writes; of several workers only one does.
    """

    def __init__(self, folder: Path, run: dict[str, Any], *, keep: int, writes: bool = True):
        self.folder, self._run, self._keep, self._writes = folder, run, keep, writes

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While the body runs, no other process may train into the same output.

        The system takes the lock from a process that dies. A file system without locks lets everyone in.

        Raises:
          UserError: another process does, or the folder cannot be made.
        """
        if not self._writes:
            yield
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder, os.O_RDONLY)
        except OSError as error:
            raise UserError(f"checkpoints {str(self.folder)!r} cannot be written ({error}): name another output"
                            ) from error
        try:
            _take(lock, self.folder)
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # it holds checkpoints, or is gone
                    self.folder.rmdir()
        finally:
            os.close(lock)

    @property
    def paths(self) -> list[Path]:
        """Finished checkpoints, the oldest first."""
        found = self.folder.glob("step-*") if self.folder.is_dir() else ()
        return sorted(path for path in found if path.is_dir())

    def save(self, step: int, variables: Sequence[tf.Variable], progress: dict[str, Any]) -> None:
        """Writes the variables and where the run stands.

        Args:
          step: steps done in the whole run.
          variables: all that training changes, in an order that the same code repeats.
          progress: JSON value to continue from: data position and metrics so far.

        Raises:
          UserError: a variable holds a value that is not finite, or the disk refuses.
        """
        if not self._writes:
            return
        try:
            with staged_folder(self.folder / f"step-{step:09d}", overwrite=True) as stage:
                files = [self._write(stage, f"{number:03d}-{_file_name(variable)}.npy", variable)
                         for number, variable in enumerate(variables)]
                write_manifest(stage, KIND, {"files": files, "progress": progress, "run": self._run, "step": step})
        except OSError as error:
            raise UserError(f"checkpoint {str(self.folder)!r} cannot be written ({error}): make room, then start the "
                            "same command again; it continues from the last checkpoint") from error
        self._prune()

    def restore(self, variables: Sequence[tf.Variable]) -> Restored | None:
        """Sets the variables to the newest checkpoint that is whole; None, and nothing changed, if there is none.

        Raises:
          UserError: the checkpoints belong to a run with another configuration or dataset.
        """
        damaged: list[str] = []
        for path in reversed(self.paths):
            try:
                manifest = _manifest(path)
                self._check_run(manifest)
                values = _read(path, manifest["files"], variables)
            except _DamagedError as error:
                damaged.append(f"{path.name} ({error})")
                continue
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            return Restored(path, manifest["step"], manifest["progress"], tuple(damaged))
        return None

    def remove(self) -> None:
        """Deletes them all: the run is finished."""
        if self._writes:
            shutil.rmtree(self.folder, ignore_errors=True)

    def describe(self) -> str:
        """The newest checkpoint, for messages."""
        return repr(str(self.paths[-1])) if self.paths else "none yet"

    def _write(self, stage: Path, name: str, variable: tf.Variable) -> dict[str, str]:
        value = local(variable).numpy()
        if not np.isfinite(value).all():
            raise UserError(f"variable {_file_name(variable)!r} is not finite, so no checkpoint was written (last good "
                            f"checkpoint: {self.describe()}): lower the learning rate")
        np.save(stage / name, value)
        return {"name": name, "digest": file_digest(stage / name)}

    def _check_run(self, manifest: dict[str, Any]) -> None:
        difference = first_difference(manifest["run"], self._run)
        if difference:
            raise UserError(f"checkpoints {str(self.folder)!r} belong to another run, first difference in "
                            f"{difference}: start with the same configuration and dataset, or remove that folder")

    def _prune(self) -> None:
        for path in self.paths[:-self._keep]:
            shutil.rmtree(path, ignore_errors=True)
        for leftover in self.folder.glob(".step-*.unfinished-*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _take(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"another process trains with checkpoints {str(folder)!r}: wait until it is done, or name "
                        "another output") from error
    except OSError:
        return


class _DamagedError(Exception):
    """A checkpoint cannot be used, for this reason."""


def _manifest(path: Path) -> dict[str, Any]:
    try:
        return read_manifest(path, KIND)
    except UserError as error:
        raise _DamagedError("its manifest cannot be read") from error


def _read(path: Path, files: Sequence[dict[str, str]], variables: Sequence[tf.Variable]) -> list[np.ndarray]:
    """Every variable's value, digests checked; read from disk as it is used."""
    if len(files) != len(variables):
        raise _DamagedError(f"{len(files)} variables, expected {len(variables)}")
    values = []
    for entry, variable in zip(files, variables, strict=True):
        file = path / entry["name"]
        if not file.is_file():
            raise _DamagedError(f"{entry['name']} is missing")
        if file_digest(file) != entry["digest"]:
            raise _DamagedError(f"{entry['name']} changed after it was written")
        value = np.load(file, mmap_mode="r")
        if list(value.shape) != variable.shape.as_list():
            raise _DamagedError(f"{entry['name']} has shape {list(value.shape)}, expected {variable.shape.as_list()}")
        values.append(value)
    return values


def _file_name(variable: tf.Variable) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", variable.name.partition(":")[0])
