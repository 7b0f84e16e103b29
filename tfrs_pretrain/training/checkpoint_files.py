"""The variables of a checkpoint as files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.array_files import write_array
from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import checked_file


class DamagedCheckpointError(Exception):
    """A checkpoint cannot be used; the message says why."""


class OtherVariablesError(Exception):
    """An undamaged checkpoint has other variables than the run; the message is the difference."""


class NonFiniteVariableError(Exception):
    """A variable contains NaN or infinity; the message is its name."""


def write_variables(folder: Path, variables: Sequence[PlacedVariable]) -> list[str]:
    """Write each variable to ``<number>-<variable>.npy``, block by block; the files do not show the placement.

    Returns:
      names of the files, in the order of the variables.

    Raises:
      NonFiniteVariableError: a variable contains NaN or infinity.
      OSError: a file cannot be written.
    """
    return [_write(folder / f"{number:03d}-{_base_name(variable)}.npy", variable)
            for number, variable in enumerate(variables)]


def read_variables(folder: Path, manifest: Mapping[str, Any], variables: Sequence[PlacedVariable]) -> list[np.ndarray]:
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


def _write(path: Path, variable: PlacedVariable) -> str:
    write_array(path, variable.shape, variable.dtype, _finite_blocks(variable))
    return path.name


def _finite_blocks(variable: PlacedVariable) -> Iterator[np.ndarray]:
    for block in variable.blocks():
        if not np.isfinite(block).all():
            raise NonFiniteVariableError(_base_name(variable))
        yield block


def _read(folder: Path, manifest: Mapping[str, Any], name: str, variable: PlacedVariable) -> np.ndarray:
    if not (folder / name).is_file():
        raise DamagedCheckpointError(f"{name} is missing")
    try:
        value: np.ndarray = np.load(checked_file(folder, manifest, name), mmap_mode="r")
    except UserError as error:
        raise DamagedCheckpointError(f"{name} changed after it was written") from error
    if value.shape != variable.shape:
        raise OtherVariablesError(f"{name} has shape {list(value.shape)}, expected {list(variable.shape)}")
    return value


def _base_name(variable: PlacedVariable) -> str:
    """The variable's name, reduced to characters that every file system accepts."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", variable.name)
