"""The hinge over negatives of the cosine contrastive loss."""

from __future__ import annotations

import tensorflow as tf

from tfrs_pretrain.pretraining.chunked import ChunkLoss, Entries, chunked_loss


def hinge_loss(queries: tf.Tensor, columns: tf.Tensor, costs: tf.Tensor, margin: float,
               masked: Entries | None = None, weights: tf.Tensor | None = None, most: int | None = None) -> tf.Tensor:
    """Sum over queries and columns of ``costs * max(0, queries @ columns.T - margin)``.

    Args:
      queries: float32 [batch, dim].
      columns: float32 [columns, dim].
      costs: float32 [columns]; carries no gradient.
      margin: similarity up to which a column costs nothing.
      masked: places that take no part.
      weights: float32 [batch] of the queries' losses, each 1 where None.
      most: columns that there can be in any batch, where that is known.

    Returns:
      float32 scalar.
    """
    def head(products: tf.Tensor, rows: slice, unused: tf.Tensor) -> ChunkLoss:
        over = tf.nn.relu(products - margin)                                              # [rows, columns]
        if masked is not None:
            places = masked.within(rows)
            over = tf.tensor_scatter_nd_update(over, places, tf.zeros([tf.shape(places)[0]]))
        return ChunkLoss(tf.reduce_sum(over * costs, axis=1), tf.where(over > 0.0, costs, 0.0), tf.ones_like(unused),
                         tf.zeros_like(unused))

    return chunked_loss(queries, columns, tf.zeros_like(queries[:, 0]), head, weights, most=most)
