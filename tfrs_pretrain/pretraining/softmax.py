"""Softmax cross-entropy against many columns, with loss and gradients in one pass over chunks of queries."""

from __future__ import annotations

import tensorflow as tf

from tfrs_pretrain.pretraining.chunked import ChunkLoss, Entries, chunked_loss


def softmax_loss(queries: tf.Tensor, columns: tf.Tensor, bias: tf.Tensor, positive: tf.Tensor, own_bias: tf.Tensor,
                 masked: Entries | None = None, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Sum over queries of logsumexp(logits) - positive logit, where ``logits = queries @ columns.T + bias``.

    Each query's own column takes ``own_bias`` in place of its ``bias``. Exact: every row's maximum is subtracted. The
    [batch, columns] logits exist one chunk at a time, and gradients are formed while they do.

    Args:
      queries: float32 [batch, dim].
      columns: float32 [columns, dim].
      bias: float32 [columns]; carries no gradient.
      positive: int32 [batch], each query's own column.
      own_bias: float32 [batch]; carries no gradient.
      masked: places, none of them a query's own column, that take no part.
      weights: float32 [batch] of the queries' losses, each 1 where None.

    Returns:
      float32 scalar.
    """
    shift = own_bias - tf.gather(bias, positive)

    def head(products: tf.Tensor, rows: slice, unused: tf.Tensor) -> ChunkLoss:
        places = positive[rows]
        own = tf.stack([tf.range(tf.shape(places)[0]), places], axis=1)
        logits = _without(products + bias, masked, rows)                                  # [rows, columns]
        logits = tf.tensor_scatter_nd_add(logits, own, shift[rows])
        maximum = tf.reduce_max(logits, axis=1, keepdims=True)
        shares = tf.exp(logits - maximum)
        totals = tf.reduce_sum(shares, axis=1, keepdims=True)
        losses = tf.math.log(totals) + maximum - tf.gather(logits, places[:, None], batch_dims=1)  # [rows, 1]
        gradient = tf.tensor_scatter_nd_sub(shares / totals, own, tf.ones_like(unused))
        return ChunkLoss(losses[:, 0], gradient, tf.zeros_like(unused))

    return chunked_loss(queries, columns, tf.zeros_like(own_bias), head, weights)


def separate_softmax_loss(queries: tf.Tensor, columns: tf.Tensor, bias: tf.Tensor, own: tf.Tensor,
                          masked: Entries | None = None, weights: tf.Tensor | None = None) -> tf.Tensor:
    """The same where the positives are no columns: sum of log(exp(own) + sum(exp(logits))) - own.

    Args:
      queries: float32 [batch, dim].
      columns: float32 [columns, dim], negatives.
      bias: float32 [columns]; carries no gradient.
      own: float32 [batch], positive logits.
      masked: places that take no part.
      weights: float32 [batch] of the queries' losses, each 1 where None.

    Returns:
      float32 scalar.
    """
    def head(products: tf.Tensor, rows: slice, own_rows: tf.Tensor) -> ChunkLoss:
        logits = _without(products + bias, masked, rows)                                  # [rows, columns]
        maximum = tf.maximum(tf.reduce_max(logits, axis=1), own_rows)
        shares = tf.exp(logits - maximum[:, None])
        totals = tf.reduce_sum(shares, axis=1) + tf.exp(own_rows - maximum)
        losses = tf.math.log(totals) + maximum - own_rows
        return ChunkLoss(losses, shares / totals[:, None], tf.exp(own_rows - maximum) / totals - 1.0)

    return chunked_loss(queries, columns, own, head, weights)


def _without(logits: tf.Tensor, masked: Entries | None, rows: slice) -> tf.Tensor:
    if masked is None:
        return logits
    places = masked.within(rows)
    return tf.tensor_scatter_nd_update(logits, places, tf.fill([tf.shape(places)[0]], -float("inf")))
