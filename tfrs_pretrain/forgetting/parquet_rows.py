"""Removal of rows from Parquet files of a copied folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.forgetting.staging import new_file


def drop_rows(path: Path, is_forgotten: Callable[[pa.Table], np.ndarray]) -> int:
    """Removes rows from a Parquet file; without such rows the file is not written.

    Args:
      path: the file.
      is_forgotten: table [n] -> bool [n].

    Returns:
      Number of removed rows.

    Raises:
      UserError: the file cannot be read.
    """
    table = read_table(path)
    forgotten = is_forgotten(table)
    if forgotten.any():
        pq.write_table(table.filter(pa.array(~forgotten)), new_file(path))
    return int(forgotten.sum())


def read_table(path: Path) -> pa.Table:
    """Reads a Parquet file.

    Raises:
      UserError: the file cannot be read.
    """
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{str(path)!r} cannot be read ({' '.join(str(error).split())}): restore a copy") from error
