"""The placement of a table's rows on the replicas: the interface, and its simplest form, a copy on each replica."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.replicas import local_copy, replica_copies

BLOCK_ROWS = 1 << 15  # rows that are read or written at once: 8 MB at 64 columns


class Placement(abc.ABC):
    """Creates, reads and writes the variables of a table: its weights, its optimizer state and other values per row.

    A variable has the shape [stored rows, ...] on each replica. Only this class and its implementations know which row
    of the table a stored row is.
    """

    def variable(self, name: str, values: np.ndarray) -> tf.Variable:
        """Create a variable with one value per row; call it inside ``strategy.scope()``.

        Args:
          name: name of the variable.
          values: [num_rows, ...], also of a type that is read block by block, such as a memory-mapped array.
        """
        variable = self._create(name, tf.zeros([self.stored_rows(len(values)), *values.shape[1:]], values.dtype))
        self.assign(variable, values)
        return variable

    def filled(self, name: str, num_rows: int, width: int, value: float) -> tf.Variable:
        """Create a variable float32 [num_rows, width] with equal values; call it inside ``strategy.scope()``."""
        return self._create(name, tf.fill([self.stored_rows(num_rows), width], value))

    def fill(self, variable: tf.Variable, value: float) -> None:
        """Set all values; call it outside of replicas."""
        for copy in replica_copies(variable):
            copy.assign(tf.fill(copy.shape, value))

    def blocks(self, variable: tf.Variable, num_rows: int) -> Iterator[np.ndarray]:
        """The values of consecutive rows, in blocks, so that no second copy of a table exists."""
        for start in range(0, num_rows, BLOCK_ROWS):
            yield self.gather_shared(variable, tf.range(start, min(start + BLOCK_ROWS, num_rows)), BLOCK_ROWS).numpy()

    def update(self, write: Callable[..., None], *values: Any) -> None:
        """Call ``write(*values)`` where the rows are; all replicas must call this at the same point of the step.

        Args:
          write: changes variables of this placement, by ``local_copy``.
          values: of this replica: tensors, numbers or None.
        """
        write(*values)

    @abc.abstractmethod
    def stored_rows(self, num_rows: int) -> int:
        """The rows of a variable on each replica."""

    @abc.abstractmethod
    def assign(self, variable: tf.Variable, values: np.ndarray) -> None:
        """Set all rows to values [num_rows, ...]; call it outside of replicas."""

    @abc.abstractmethod
    def gather(self, variable: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
        """The values [..., width] of integer ids [...], which differ between replicas; inside or outside of a replica.

        Inside, all replicas must call it at the same point of the step.
        """

    @abc.abstractmethod
    def gather_shared(self, variable: tf.Variable, ids: tf.Tensor, max_ids: int | None) -> tf.Tensor:
        """As ``gather``, for ids [n] that are the same on every replica.

        Args:
          variable: to read.
          ids: integer [n]; n may vary between steps.
          max_ids: upper bound of n, the same in every step; None if it is not known.
        """

    @abc.abstractmethod
    def own(self, ids: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Select what this replica must write.

        Args:
          ids: integer [n], the same on every replica; ids below 0 are no rows.
          values: [n, ...].

        Returns:
          positions of rows in the variables of this replica, negative for ids below 0, and their values.
        """

    @abc.abstractmethod
    def _create(self, name: str, values: tf.Tensor) -> tf.Variable:
        """Create a variable with the same stored rows on each replica."""


class Replicated(Placement):
    """Every replica has all rows, and applies all updates."""

    def variable(self, name: str, values: np.ndarray) -> tf.Variable:
        return self._create(name, values)

    def stored_rows(self, num_rows: int) -> int:
        return num_rows

    def assign(self, variable: tf.Variable, values: np.ndarray) -> None:
        variable.assign(values)

    def gather(self, variable: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
        return tf.gather(local_copy(variable), ids)

    def gather_shared(self, variable: tf.Variable, ids: tf.Tensor, max_ids: int | None) -> tf.Tensor:
        del max_ids
        return self.gather(variable, ids)

    def own(self, ids: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return ids, values

    def _create(self, name: str, values: tf.Tensor) -> tf.Variable:
        return tf.Variable(values, trainable=False, name=name)


REPLICATED = Replicated()
