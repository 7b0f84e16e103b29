"""Embedding tables of a served model, stored as float32, float16 or int8."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

MAX_INT8 = 127


@dataclasses.dataclass(frozen=True)
class StoredRows:
    """Rows of a table in the dtype in which a model serves them.

    Attributes:
      values: float32, float16 or int8 [rows, dim].
      scales: float32 [rows, 1], the value of one int8 step in each row; None: another dtype.
    """

    values: np.ndarray
    scales: np.ndarray | None = None

    @classmethod
    def quantized(cls, rows: np.ndarray, dtype: str) -> StoredRows:
        """Converts float32 [rows, dim] to "float32", "float16" or "int8"."""
        if dtype != "int8":
            return cls(rows.astype(dtype))
        scales = row_scales(rows)
        return cls(np.rint(rows / scales).astype(dtype), scales)

    def take(self, rows: np.ndarray) -> StoredRows:
        """Returns the rows at int64 [n]."""
        return StoredRows(self.values[rows], None if self.scales is None else self.scales[rows])


class ServedTable(tf.Module):
    """An embedding table that is stored in a narrow dtype and converted to float32 after the gather.

    Each int8 row has a float32 scale: the row's largest magnitude is 127 scales.

    Args:
      name: name of its variables.
      stored: its rows.
    """

    def __init__(self, name: str, stored: StoredRows):
        super().__init__(name=name)
        self._scales = None
        if stored.scales is not None:
            self._scales = tf.Variable(stored.scales, trainable=False, name=f"{name}_scales")
        self._rows = tf.Variable(stored.values, trainable=False, name=name)

    def described(self) -> dict[str, Any]:
        """Returns number of rows, dim, dtype and size in bytes, as JSON."""
        num_rows, dim = (int(size) for size in self._rows.shape)
        scale_bytes = 0 if self._scales is None else num_rows * self._scales.dtype.size
        return {"rows": num_rows, "dim": dim, "dtype": self._rows.dtype.name,
                "bytes": num_rows * dim * self._rows.dtype.size + scale_bytes}

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns float32 [..., dim], the embeddings at integer rows [...]."""
        values = tf.cast(tf.gather(self._rows, rows), tf.float32)
        return values if self._scales is None else values * tf.gather(self._scales, rows)


def row_scales(rows: np.ndarray) -> np.ndarray:
    """Returns float32 [rows, 1], the value of one int8 step in each row; 1 for a row of zeros.

    Args:
      rows: float32 [rows, dim].
    """
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    return np.where(largest > 0, largest / np.float32(MAX_INT8), 1).astype(np.float32)


def quantize_dequantize(rows: np.ndarray, dtype: str) -> np.ndarray:
    """Returns float32 [rows, dim], the values that a ``ServedTable`` of this dtype returns for the rows.

    Args:
      rows: float32 [rows, dim].
      dtype: "float32", "float16" or "int8".
    """
    if dtype == "int8":
        scales = row_scales(rows)
        return np.asarray(np.rint(rows / scales) * scales, np.float32)
    return rows.astype(dtype).astype(np.float32)
