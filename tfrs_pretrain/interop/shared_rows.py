"""The rows of a table as another model starts from them, with a choice for the rows that unknown ids share."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.vocabulary import Vocabulary

Oov = Literal["shared", "zeros", "mean"]
BLOCK = 1 << 16  # rows


def initial_rows(matrix: np.ndarray, vocabulary: Vocabulary, oov: Oov) -> np.ndarray:
    """Copies a table.

    Args:
      matrix: float32 [num_rows, dim].
      vocabulary: its ids.
      oov: the rows that unknown ids share: "shared", as Stage I trained them; "zeros"; or "mean", the mean of the rows
        of all ids.

    Returns:
      float32 [num_rows, dim].

    Raises:
      UserError: ``oov`` is none of these.
    """
    if oov not in get_args(Oov):
        raise UserError(f"oov {oov!r} is unknown: choose one of {list(get_args(Oov))}")
    rows = np.array(matrix, np.float32)
    if oov != "shared":
        rows[:vocabulary.oov_rows] = _mean(matrix, vocabulary.id_rows) if oov == "mean" else 0.0
    return rows


def _mean(matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """float32 [dim], the mean of some rows; zeros if there are none."""
    total = np.zeros(matrix.shape[1])
    for start in range(0, len(rows), BLOCK):
        total += matrix[rows[start:start + BLOCK]].sum(axis=0, dtype=np.float64)
    mean: np.ndarray = (total / max(len(rows), 1)).astype(np.float32)
    return mean
