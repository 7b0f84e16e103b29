"""What draws negatives beside the items of a batch: the interface, and uniform draws."""

from __future__ import annotations

import abc

import numpy as np
import tensorflow as tf


class NegativeSampler(abc.ABC):
    """Draws negatives for each global batch; its pairs share them.

    Attributes:
      count: number of draws.
    """

    count: int

    @abc.abstractmethod
    def draw(self, positives: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Integers [count]: rows of the item table, with replacement; int64 stays in a GPU's memory.

        The draws depend on the arguments only, so that a resumed run and every replica draw the same: use stateless
        random operations. It is traced into the graph of the training step.

        Args:
          positives: int64 [global batch], the positive items of all replicas.
          step: int64 scalar, number of the step, from 0; -1 in an evaluation.
        """

    def probability(self) -> np.ndarray | None:
        """float64 [num_rows]: probability that one draw is this row, positive in each row; None if it is unknown."""
        return None


class UniformSampler(NegativeSampler):
    """Draws each row that belongs to an id, or to unknown ids, with the same probability.

    Args:
      count: number of draws.
      num_rows: rows of the item table.
      seed: of the draws.
      free: int64 [n], rows that belong to no id; None if there are none.
    """

    def __init__(self, count: int, num_rows: int, seed: int = 0, free: np.ndarray | None = None):
        self.count, self._seed = count, seed
        self._num_rows, self._free = num_rows, np.empty(0, np.int64) if free is None else free

    def draw(self, positives: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        draws = tf.random.stateless_uniform([self.count], tf.stack([tf.constant(self._seed, tf.int64), step]),
                                            maxval=self._num_drawn, dtype=tf.int32)
        draws = tf.cast(draws, positives.dtype)
        if len(self._free):
            draws = tf.gather(tf.constant(np.delete(np.arange(self._num_rows), self._free), positives.dtype), draws)
        return draws

    def probability(self) -> np.ndarray:
        return np.full(self._num_rows, 1.0 / self._num_drawn)

    @property
    def _num_drawn(self) -> int:
        return self._num_rows - len(self._free)
