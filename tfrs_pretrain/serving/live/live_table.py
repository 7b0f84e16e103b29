"""A served table with spare places, into which updates write rows that no request reads yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.serving.graph.served_tables import ServedTable, StoredRows
from tfrs_pretrain.serving.live.places import scatter


class LiveTable(ServedTable):
    """A served table whose rows are gathered by place.

    Args:
      name: name of its variables.
      stored: rows of the base version.
      spare: number of spare places.
    """

    def __init__(self, name: str, stored: StoredRows, spare: int):
        super().__init__(name, StoredRows(_with_spare(stored.values, spare), None if stored.scales is None
                                          else _with_spare(stored.scales, spare)))
        self._spare = spare

    def described(self) -> dict[str, Any]:
        """Returns number of rows, spare places, dim, dtype and size in bytes, as JSON."""
        found = super().described()
        return found | {"rows": found["rows"] - self._spare, "spare": self._spare}

    def decode(self, values: tf.Tensor) -> tf.Tensor:
        """Returns rows [n, dim] of a string [] of little-endian values in the table's dtype."""
        return tf.reshape(tf.io.decode_raw(values, self._rows.dtype), [-1, self._rows.shape[1]])

    def checks(self, rows: tf.Tensor, scales: tf.Tensor, num_rows: tf.Tensor) -> list[tf.Operation]:
        """Returns assertions that there are ``num_rows`` rows and, for int8, scales."""
        expected = 0 if self._scales is None else num_rows
        valid = (tf.shape(rows)[0] == num_rows) & (tf.shape(scales)[0] == expected)
        return [tf.debugging.Assert(valid, ["live update: rows and scales differ in number from the ids:",
                                            tf.shape(rows), tf.shape(scales), num_rows])]

    def write(self, places: tf.Tensor, rows: tf.Tensor, scales: tf.Tensor) -> list[tf.Operation]:
        """Returns operations that write rows [n, dim] and scales [n, 1] to int32 [n], places that no request reads."""
        writes = [scatter(self._rows, places, rows)]
        return writes if self._scales is None else [*writes, scatter(self._scales, places, scales)]

    def erase(self, places: tf.Tensor) -> list[tf.Operation]:
        """Returns operations that set the rows at int32 [n], places that no request reads, to zero."""
        size = tf.size(places)
        return self.write(places, tf.zeros([size, self._rows.shape[1]], self._rows.dtype), tf.zeros([size, 1]))


def _with_spare(rows: np.ndarray, spare: int) -> np.ndarray:
    return np.concatenate([rows, np.zeros((spare, rows.shape[1]), rows.dtype)])
