"""Dropout on the rows that a ranker gathers, the same on any number of replicas and after any restart."""

from __future__ import annotations

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class RowDropout:
    """Inverted dropout (Srivastava et al., JMLR 2014): what is kept grows by 1 / (1 - rate), so serving needs none.

    Which values fall follows from the seed, the step and their place in the global batch alone.

    Attributes:
      rate: share to hide, in (0, 1).
      whole_rows: hide all of a row or none of it, instead of single values.
      seed: of this table.
    """

    rate: float
    whole_rows: bool
    seed: int

    def __call__(self, rows: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Rows [batch, dim] or [batch, length, dim] of this replica, some of them hidden.

        Args:
          rows: float32; with several replicas the batch must be static.
          step: int64 [], steps done before this one.
        """
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync if context else 1
        shape = tf.shape(rows)
        drawn = tf.concat([[shape[0] * replicas], shape[1:-1], [1] if self.whole_rows else shape[-1:]], 0)
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(step, tf.int64)])
        uniform = tf.random.stateless_uniform(drawn, seed, dtype=rows.dtype)  # of the global batch
        own = uniform if replicas == 1 else uniform[context.replica_id_in_sync_group * shape[0]:][:shape[0]]
        return tf.where(own >= self.rate, rows / (1 - self.rate), tf.zeros_like(rows))
