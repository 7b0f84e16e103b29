"""Embedding tables as they are served: rows of float32, float16 or int8."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

MAX_INT8 = 127


class ServedTable(tf.Module):
    """Rows of an ID space or feature, held in a narrower type and widened after they are gathered.

    An int8 row has a float32 scale of its own: its largest magnitude is 127 scales.

    Args:
      name: of its variables.
      rows: float32 [rows, dim].
      dtype: "float32", "float16" or "int8".
    """

    def __init__(self, name: str, rows: np.ndarray, dtype: str):
        super().__init__(name=name)
        self._scales = None
        if dtype == "int8":
            scales = row_scales(rows)
            self._scales = tf.Variable(scales, trainable=False, name=f"{name}_scales")
            rows = np.rint(rows / scales)
        self._rows = tf.Variable(rows.astype(dtype), trainable=False, name=name)

    def described(self) -> dict[str, Any]:
        """Rows, columns, type and size in bytes."""
        rows, dim = (int(size) for size in self._rows.shape)
        scales = 0 if self._scales is None else rows * self._scales.dtype.size
        return {"rows": rows, "dim": dim, "dtype": self._rows.dtype.name,
                "bytes": rows * dim * self._rows.dtype.size + scales}

    def gather(self, ids: tf.Tensor) -> tf.Tensor:
        """float32 [..., dim] rows of integer ids [...]."""
        rows = tf.cast(tf.gather(self._rows, ids), tf.float32)
        return rows if self._scales is None else rows * tf.gather(self._scales, ids)


def row_scales(rows: np.ndarray) -> np.ndarray:
    """float32 [rows, 1]: what one step of int8 is worth in each row [dim]; 1 in a row of zeros."""
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    return np.where(largest > 0, largest / np.float32(MAX_INT8), 1).astype(np.float32)


def quantize_dequantize(rows: np.ndarray, dtype: str) -> np.ndarray:
    """float32 [rows, dim] that a table of this dtype gives for the rows."""
    if dtype == "int8":
        scales = row_scales(rows)
        return (np.rint(rows / scales) * scales).astype(np.float32)
    return rows.astype(dtype).astype(np.float32)
