"""Variables as those who store them see them: whole arrays, whatever the placement of their rows is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfrs_pretrain.array_files import BLOCK_ROWS
from tfrs_pretrain.embeddings.placement import REPLICATED, Placement
from tfrs_pretrain.embeddings.replicas import local_copy
from tfrs_pretrain.embeddings.touched_rows import TouchedRows
from tfrs_pretrain.row_arrays import Rows


@dataclasses.dataclass(frozen=True)
class PlacedVariable:
    """A variable of a training run. Use it outside of replicas.

    Attributes:
      variable: the variable.
      placement: of its rows.
      num_rows: rows of its table; None if it belongs to no table.
      touched: the rows that changed since the last full checkpoint; None: any may have changed.
    """

    variable: tf.Variable
    placement: Placement = REPLICATED
    num_rows: int | None = None
    touched: TouchedRows | None = None

    @classmethod
    def of(cls, variable: tf.Variable | PlacedVariable) -> PlacedVariable:
        """The variable, with a copy on each replica if nothing else is known."""
        return variable if isinstance(variable, PlacedVariable) else cls(variable)

    @property
    def name(self) -> str:
        """Name of the variable, without an output number."""
        return str(self.variable.name).partition(":")[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole array."""
        shape = tuple(int(size) for size in self.variable.shape)
        return shape if self.num_rows is None else (self.num_rows, *shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        dtype: np.dtype = np.dtype(self.variable.dtype.as_numpy_dtype)
        return dtype

    def blocks(self) -> Iterator[np.ndarray]:
        """The whole array in consecutive parts; a variable of no table is one part."""
        if self.num_rows is None:
            return iter([np.asarray(local_copy(self.variable).numpy())])
        return self.placement.blocks(self.variable, self.num_rows)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """The values of rows int64 [n], at most ``BLOCK_ROWS``; only for a variable of a table."""
        ids = tf.constant(rows, tf.int64)
        values: np.ndarray = self.placement.gather_shared(self.variable, ids, BLOCK_ROWS).numpy()
        return values

    def numpy(self) -> np.ndarray:
        """A copy of the whole array."""
        result, start = np.empty(self.shape, self.dtype), 0
        if self.num_rows is None:
            result[...] = next(self.blocks())
            return result
        for block in self.blocks():
            result[start:start + len(block)] = block
            start += len(block)
        return result

    def assign(self, values: Rows) -> None:
        """Set the whole array, such as one that is memory-mapped."""
        self.placement.assign(self.variable, values)
        if self.touched is not None:
            self.touched.mark_all()
