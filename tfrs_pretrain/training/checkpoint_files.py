"""The variables of a checkpoint as files with digests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.embeddings.replicas import local_copy


class DamagedCheckpointError(Exception):
    """A checkpoint cannot be used; the message says why."""


class OtherVariablesError(Exception):
    """An undamaged checkpoint has other variables than the run; the message is the difference."""


class NonFiniteVariableError(Exception):
    """A variable contains NaN or infinity; the message is its name."""


def write_variables(folder: Path, variables: Sequence[tf.Variable]) -> list[dict[str, str]]:
    """Write each variable to ``<number>-<variable>.npy``.

    Returns:
      "name" and "digest" (SHA-256) of each file, in the order of the variables.

    Raises:
      NonFiniteVariableError: a variable contains NaN or infinity.
      OSError: a file cannot be written.
    """
    return [_write(folder / f"{number:03d}-{_base_name(variable)}.npy", variable)
            for number, variable in enumerate(variables)]


def read_variables(folder: Path, files: Sequence[dict[str, str]],
                   variables: Sequence[tf.Variable]) -> list[np.ndarray]:
    """The stored value of each variable, memory-mapped.

    Args:
      folder: the checkpoint.
      files: what ``write_variables`` returned.
      variables: give the expected number and shapes; not changed.

    Raises:
      DamagedCheckpointError: a file is missing or changed.
      OtherVariablesError: the number or a shape of the variables differs.
    """
    if len(files) != len(variables):
        raise OtherVariablesError(f"{len(files)} variables, expected {len(variables)}")
    return [_read(folder, entry, variable) for entry, variable in zip(files, variables, strict=True)]


def _write(path: Path, variable: tf.Variable) -> dict[str, str]:
    value = local_copy(variable).numpy()
    if not np.isfinite(value).all():
        raise NonFiniteVariableError(_base_name(variable))
    np.save(path, value)
    return {"name": path.name, "digest": file_digest(path)}


def _read(folder: Path, entry: dict[str, str], variable: tf.Variable) -> np.ndarray:
    name, shape = entry["name"], variable.shape.as_list()
    path = folder / name
    if not path.is_file():
        raise DamagedCheckpointError(f"{name} is missing")
    if file_digest(path) != entry["digest"]:
        raise DamagedCheckpointError(f"{name} changed after it was written")
    value: np.ndarray = np.load(path, mmap_mode="r")
    if list(value.shape) != shape:
        raise OtherVariablesError(f"{name} has shape {list(value.shape)}, expected {shape}")
    return value


def _base_name(variable: tf.Variable) -> str:
    """The variable's name, reduced to characters that every file system accepts."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", variable.name.partition(":")[0])
