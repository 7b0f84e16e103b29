"""The rows of a table that changed since its last full checkpoint."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.placement import Placement
from tfrs_pretrain.embeddings.replicas import local_copy

MIN_ROWS = 1 << 16  # a smaller table is written whole: tracking it would save nothing that can be measured


class TouchedRows:
    """A mark for each row of a table. Create it inside ``strategy.scope()``.

    It is no ``tf.Module``, so the marks are neither saved with a model nor part of a table's ``variables``.

    Args:
      name: name of the table.
      num_rows: rows of the table.
      placement: of the rows and their marks.
    """

    def __init__(self, name: str, num_rows: int, placement: Placement):
        self.num_rows, self._placement = num_rows, placement
        self._marks = placement.variable(f"{name}_touched", np.zeros(num_rows, bool))

    @classmethod
    def of_table(cls, name: str, num_rows: int, placement: Placement) -> TouchedRows | None:
        """The marks of a table; None for a small one."""
        return cls(name, num_rows, placement) if num_rows >= MIN_ROWS else None

    def mark(self, positions: tf.Tensor) -> None:
        """Mark rows at integer positions [n] of this replica's variables; call it in the step that changes them."""
        marks = tf.ones_like(positions, tf.bool)
        # On a GPU, TensorFlow scatters booleans at positions of 32 bits only.
        local_copy(self._marks).scatter_update(tf.IndexedSlices(marks, tf.cast(positions, tf.int32)))

    def mark_all(self) -> None:
        """Mark all rows; call it outside of replicas, as all methods below."""
        self._placement.fill(self._marks, True)

    def replace(self, rows: np.ndarray) -> None:
        """Mark these rows and no others."""
        marks = np.zeros(self.num_rows, bool)
        marks[rows] = True
        self._placement.assign(self._marks, marks)

    def rows(self) -> np.ndarray:
        """int64 [n]: the marked rows in ascending order."""
        return np.flatnonzero(np.concatenate([*self._placement.blocks(self._marks, self.num_rows)]))
