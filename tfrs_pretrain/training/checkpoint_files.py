"""The variables of a checkpoint as files: whole, or only the rows that changed since a full checkpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.array_files import BLOCK_ROWS, WRITERS, write_array, write_array_in_parallel
from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import checked_file
from tfrs_pretrain.row_arrays import FileRows, Rows


class DamagedCheckpointError(Exception):
    """A checkpoint cannot be used; the message says why."""


class OtherVariablesError(Exception):
    """An undamaged checkpoint has other variables than the run; the message is the difference."""


class NonFiniteVariableError(Exception):
    """A variable contains NaN or infinity; the message is its name."""


def write_variables(folder: Path, variables: Sequence[PlacedVariable],
                    rows: Sequence[np.ndarray | None] | None = None) -> list[str]:
    """Write each variable to ``<number>-<variable>.npy``, block by block; the files do not show the placement.

    Args:
      folder: the checkpoint.
      variables: the variables.
      rows: int64 [n] for each variable, the only rows to write; None for all. None: all rows of all variables.

    Returns:
      names of the files, in the order of the variables.

    Raises:
      NonFiniteVariableError: a variable contains NaN or infinity.
      OSError: a file cannot be written.
    """
    names = [f"{number:03d}-{_base_name(variable)}.npy" for number, variable in enumerate(variables)]
    for name, variable, some in zip(names, variables, rows or [None] * len(names), strict=True):
        _write(folder / name, variable, some)
    return names


def read_variables(folder: Path, manifest: Mapping[str, Any], variables: Sequence[PlacedVariable]) -> list[Rows]:
    """The stored values of each variable, to be read block by block.

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
    with ThreadPoolExecutor(WRITERS) as pool:  # most of the time is spent on digests
        values = list(pool.map(lambda name: read_file(folder, manifest, name), names))
    for name, value, variable in zip(names, values, variables, strict=True):
        if value.shape != variable.shape:
            raise OtherVariablesError(f"{name} has shape {list(value.shape)}, expected {list(variable.shape)}")
    return values


def read_file(folder: Path, manifest: Mapping[str, Any], name: str) -> Rows:
    """An array file of a checkpoint, to be read block by block.

    Raises:
      DamagedCheckpointError: it is missing or changed.
    """
    if not (folder / name).is_file():
        raise DamagedCheckpointError(f"{name} is missing")
    try:
        path = checked_file(folder, manifest, name)
    except UserError as error:
        raise DamagedCheckpointError(f"{name} changed after it was written") from error
    value: np.ndarray = np.load(path, mmap_mode="r")
    return FileRows(path) if value.ndim else value


def _write(path: Path, variable: PlacedVariable, rows: np.ndarray | None) -> None:
    if variable.num_rows is None:
        write_array(path, variable.shape, variable.dtype, [_finite(variable, variable.numpy())])
        return

    def read(start: int, end: int) -> np.ndarray:
        return _finite(variable, variable.gather(np.arange(start, end) if rows is None else rows[start:end]))

    num_rows = variable.num_rows if rows is None else len(rows)
    write_array_in_parallel(path, (num_rows, *variable.shape[1:]), variable.dtype, read, BLOCK_ROWS)


def _finite(variable: PlacedVariable, block: np.ndarray) -> np.ndarray:
    if not np.isfinite(block).all():
        raise NonFiniteVariableError(_base_name(variable))
    return block


def _base_name(variable: PlacedVariable) -> str:
    """The variable's name, reduced to characters that every file system accepts."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", variable.name)
