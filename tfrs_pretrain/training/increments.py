"""Incremental checkpoints: the rows that changed since a full checkpoint, and all variables of no table.

::

    <number>-rows.npy         int64 [n], the changed rows of the table whose first variable has this number
    <number>-<variable>.npy   their values [n, ...], in each variable of the table
    manifest.json             "base": name and digest of the full checkpoint; "rows": values file -> its rows

An increment needs its full checkpoint and no other increment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.embeddings.touched_rows import TouchedRows
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.row_arrays import PatchedRows, Rows
from tfrs_pretrain.training.checkpoint_files import (
    DamagedCheckpointError,
    OtherVariablesError,
    read_file,
    read_variables,
    write_variables,
)

BASE, ROWS = "base", "rows"  # keys of a manifest


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """The digest by which increments name a full checkpoint."""
    return json_digest(dict(manifest))


def all_marks(variables: Sequence[PlacedVariable]) -> list[TouchedRows]:
    """The marks of all tables that have any, each once."""
    return list(dict.fromkeys(variable.touched for variable in variables if variable.touched is not None))


def touched_rows(variables: Sequence[PlacedVariable]) -> dict[TouchedRows, np.ndarray]:
    """Each table's marks -> int64 [n], the rows that changed."""
    return {touched: touched.rows() for touched in all_marks(variables)}


def num_bytes(variables: Sequence[PlacedVariable], rows: Mapping[TouchedRows, np.ndarray] | None = None) -> int:
    """Bytes of all variables, where ``rows`` are given only of these rows."""
    def size(variable: PlacedVariable) -> int:
        shape = variable.shape
        if rows is not None and variable.touched is not None:
            shape = (len(rows[variable.touched]), *shape[1:])
        return int(np.prod(shape)) * variable.dtype.itemsize

    return sum(map(size, variables))


def write_increment(folder: Path, variables: Sequence[PlacedVariable], changed: Mapping[TouchedRows, np.ndarray],
                    base: str, digest: str) -> dict[str, Any]:
    """Write the changed rows.

    Args:
      folder: the increment.
      variables: all variables of the run.
      changed: each table's marks -> int64 [n], the rows to write.
      base: name of the full checkpoint's folder.
      digest: of its manifest.

    Returns:
      the entries of the manifest.

    Raises:
      NonFiniteVariableError, OSError: as for ``write_variables``.
    """
    files: dict[TouchedRows, str] = {}
    for number, variable in enumerate(variables):
        if variable.touched is not None and variable.touched not in files:
            files[variable.touched] = f"{number:03d}-rows.npy"
            np.save(folder / files[variable.touched], changed[variable.touched])
    rows = [None if variable.touched is None else changed[variable.touched] for variable in variables]
    names = write_variables(folder, variables, rows)
    return {"variables": names, BASE: {"checkpoint": base, "digest": digest},
            ROWS: {name: {"file": files[variable.touched], "num_rows": variable.num_rows}
                   for name, variable in zip(names, variables, strict=True) if variable.touched is not None}}


def read_increment(folder: Path, manifest: Mapping[str, Any], base: Mapping[str, Any],
                   variables: Sequence[PlacedVariable]) -> list[Rows]:
    """The values of each variable after an increment.

    Args:
      folder: the increment.
      manifest: its manifest.
      base: manifest of its full checkpoint.
      variables: as for ``read_variables``.

    Raises:
      DamagedCheckpointError: a file of either checkpoint is missing or changed, or the full one is another.
      OtherVariablesError: the number or a shape of the variables differs.
    """
    name = manifest[BASE]["checkpoint"]
    if manifest_digest(base) != manifest[BASE]["digest"]:
        raise DamagedCheckpointError(f"its full checkpoint {name} was replaced")
    try:
        whole = read_variables(folder.with_name(name), base, variables)
    except DamagedCheckpointError as error:
        raise DamagedCheckpointError(f"its full checkpoint {name}: {error}") from error
    names = manifest["variables"]
    if len(names) != len(variables):
        raise OtherVariablesError(f"{len(names)} variables, expected {len(variables)}")
    return [_patched(folder, manifest, *each) for each in zip(names, whole, strict=True)]


def restored_rows(folder: Path, manifest: Mapping[str, Any], variables: Sequence[PlacedVariable]
                  ) -> dict[TouchedRows, np.ndarray]:
    """Each table's marks -> the rows that a checkpoint changed since its full one; without tables stored whole."""
    rows = manifest.get(ROWS, {})
    return {variable.touched: np.asarray(read_file(folder, manifest, rows[name]["file"]))
            for name, variable in zip(manifest["variables"], variables, strict=True)
            if variable.touched is not None and name in rows}


def _patched(folder: Path, manifest: Mapping[str, Any], name: str, whole: Rows) -> Rows:
    values = read_file(folder, manifest, name)
    if name not in manifest[ROWS]:
        if values.shape != whole.shape:
            raise OtherVariablesError(f"{name} has shape {list(values.shape)}, expected {list(whole.shape)}")
        return values
    rows = np.asarray(read_file(folder, manifest, manifest[ROWS][name]["file"]))
    if values.shape != (len(rows), *whole.shape[1:]) or (len(rows) and rows[-1] >= len(whole)):
        raise DamagedCheckpointError(f"{name} does not fit its rows")
    return PatchedRows(whole, rows, values)
