"""Dropout of gathered table rows, identical for any number of replicas and after any restart."""

from __future__ import annotations

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class RowDropout:
    """Inverted dropout (Srivastava et al., JMLR 2014): retained values are scaled by 1 / (1 - rate), unlike in serving.

    The dropped values depend only on the seed, the step and the position in the global batch.

    Attributes:
      rate: probability of dropping a value, in (0, 1).
      whole_rows: drop whole rows instead of single values.
      seed: of this table.
    """

    rate: float
    whole_rows: bool
    seed: int

    def __call__(self, rows: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Drop some of this replica's rows or values.

        Args:
          rows: float32 [batch, dim] or [batch, length, dim]; with several replicas the batch size must be static.
          step: int64 [], number of finished steps.
        """
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync if context else 1
        shape = tf.shape(rows)
        global_shape = tf.concat([[shape[0] * replicas], shape[1:-1], [1] if self.whole_rows else shape[-1:]], 0)
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(step, tf.int64)])
        uniform = tf.random.stateless_uniform(global_shape, seed, dtype=rows.dtype)  # of the global batch
        own = uniform if replicas == 1 else uniform[context.replica_id_in_sync_group * shape[0]:][:shape[0]]
        return tf.where(own >= self.rate, rows / (1 - self.rate), tf.zeros_like(rows))
