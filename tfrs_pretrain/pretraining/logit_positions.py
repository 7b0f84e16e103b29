"""Positions in a [batch, negatives] block of logits."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class LogitPositions(NamedTuple):
    """Positions in a [batch, negatives] block.

    Attributes:
      queries: int64 [n], row of each position, ascending.
      negatives: int64 [n], column of each position.
    """

    queries: tf.Tensor
    negatives: tf.Tensor

    def within(self, chunk: slice) -> tf.Tensor:
        """int64 [m, 2]: the positions in a chunk of the queries, with rows counted from the chunk's first query."""
        start, stop = (tf.cast(bound, self.queries.dtype) for bound in (chunk.start, chunk.stop))
        first, last = tf.unstack(tf.searchsorted(self.queries, tf.stack([start, stop])))
        return tf.stack([self.queries[first:last] - start, self.negatives[first:last]], axis=1)

    def merged(self, other: LogitPositions) -> LogitPositions:
        """These positions and the others, ordered by query."""
        queries = tf.concat([self.queries, other.queries], 0)
        negatives = tf.concat([self.negatives, other.negatives], 0)
        order = tf.argsort(queries, stable=True)
        return LogitPositions(tf.gather(queries, order), tf.gather(negatives, order))
