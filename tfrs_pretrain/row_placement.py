"""Placement of new ids: free rows are reused before rows are appended."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tfrs_pretrain.id_arrays import joined


def place_ids(ids: pa.Array, is_free: np.ndarray, new: pa.Array) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Gives each new id the first free position, and a position at the end once none is free.

    Args:
      ids: Arrow array [n].
      is_free: bool [n], positions without an id or whose id leaves.
      new: Arrow array [m] of the same kind.

    Returns:
      The ids after the change, null at positions that remain free (large strings if ids are strings), and the
      positions of the new ids, int64 [m].
    """
    free = np.flatnonzero(is_free)[:len(new)]
    positions = np.concatenate([free, len(ids) + np.arange(len(new) - len(free))]).astype(np.int64)
    source = np.concatenate([np.arange(len(ids)), np.zeros(len(new) - len(free), np.int64)])
    is_null = np.concatenate([is_free, np.zeros(len(new) - len(free), bool)])
    source[positions], is_null[positions] = len(ids) + np.arange(len(new)), False
    return joined(ids, new).take(pa.array(source, mask=is_null)), positions
