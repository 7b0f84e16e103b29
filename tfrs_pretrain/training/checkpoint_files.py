"""The variables of a checkpoint as files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.replicas import local_copy
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import checked_file


class DamagedCheckpointError(Exception):
    """A checkpoint cannot be used; the message says why."""


class OtherVariablesError(Exception):
    """An undamaged checkpoint has other variables than the run; the message is the difference."""


class NonFiniteVariableError(Exception):
    """A variable contains NaN or infinity; the message is its name."""


def write_variables(folder: Path, variables: Sequence[tf.Variable]) -> list[str]:
    """Write each variable to ``<number>-<variable>.npy``.

    Returns:
      names of the files, in the order of the variables.

    Raises:
      NonFiniteVariableError: a variable contains NaN or infinity.
      OSError: a file cannot be written.
    """
    return [_write(folder / f"{number:03d}-{_base_name(variable)}.npy", variable)
            for number, variable in enumerate(variables)]


def read_variables(folder: Path, manifest: Mapping[str, Any], variables: Sequence[tf.Variable]) -> list[np.ndarray]:
    """The stored value of each variable, memory-mapped.

    Args:
      folder: the checkpoint.
      manifest: its manifest; ``variables`` is what ``write_variables`` returned.
      variables: give the expected number and shapes; not changed.

    Raises:
      DamagedCheckpointError: a file is missing or changed.
      OtherVariablesError: the number or a shape of the variables differs.
    """
    names = manifest["variables"]
    if len(names) != len(variables):
        raise OtherVariablesError(f"{len(names)} variables, expected {len(variables)}")
    return [_read(folder, manifest, name, variable) for name, variable in zip(names, variables, strict=True)]


def _write(path: Path, variable: tf.Variable) -> str:
    value = local_copy(variable).numpy()
    if not np.isfinite(value).all():
        raise NonFiniteVariableError(_base_name(variable))
    np.save(path, value)
    return path.name


def _read(folder: Path, manifest: Mapping[str, Any], name: str, variable: tf.Variable) -> np.ndarray:
    shape = variable.shape.as_list()
    if not (folder / name).is_file():
        raise DamagedCheckpointError(f"{name} is missing")
    try:
        value: np.ndarray = np.load(checked_file(folder, manifest, name), mmap_mode="r")
    except UserError as error:
        raise DamagedCheckpointError(f"{name} changed after it was written") from error
    if list(value.shape) != shape:
        raise OtherVariablesError(f"{name} has shape {list(value.shape)}, expected {shape}")
    return value


def _base_name(variable: tf.Variable) -> str:
    """The variable's name, reduced to characters that every file system accepts."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", variable.name.partition(":")[0])
