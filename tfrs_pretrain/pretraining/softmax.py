"""Softmax cross-entropy against many negatives, with loss and gradients in one pass over chunks of queries."""

from __future__ import annotations

import tensorflow as tf

from tfrs_pretrain.pretraining.chunked import ChunkLoss, Entries, chunked_loss

_FAR = 80.0  # exp(-80) is still an ordinary float32


def softmax_loss(queries: tf.Tensor, columns: tf.Tensor, bias: tf.Tensor, own: tf.Tensor,
                 masked: Entries | None = None, weights: tf.Tensor | None = None, most: int | None = None) -> tf.Tensor:
    """Sum over queries of log(exp(own) + sum(exp(logits))) - own, where ``logits = queries @ columns.T + bias``.

    The [batch, columns] logits exist one chunk at a time, and gradients are formed while they do. Exponentials are
    relative to one bound of all logits, which costs nothing, or where a positive lies too far below it (large norms,
    low temperatures) relative to each row's maximum: neither overflows nor loses a row.

    Args:
      queries: float32 [batch, dim].
      columns: float32 [columns, dim], negatives.
      bias: float32 [columns]; carries no gradient.
      own: float32 [batch], positive logits.
      masked: places that take no part, as those of a query's positive where it is among the columns.
      weights: float32 [batch] of the queries' losses, each 1 where None.
      most: columns that there can be in any batch, where that is known.

    Returns:
      float32 scalar.
    """
    bound = tf.maximum(_longest(queries) * _longest(columns) + tf.reduce_max(bias), tf.reduce_max(own))
    far = bound - tf.reduce_min(own) > _FAR
    below = bias - bound

    def bounded(products: tf.Tensor, rows: slice, own_rows: tf.Tensor) -> ChunkLoss:
        return _cross_entropy(tf.exp(_without(products + below, masked, rows)), own_rows, bound)

    def exact(products: tf.Tensor, rows: slice, own_rows: tf.Tensor) -> ChunkLoss:
        logits = _without(products + bias, masked, rows)                                  # [rows, columns]
        maximum = tf.maximum(tf.reduce_max(logits, axis=1), own_rows)
        return _cross_entropy(tf.exp(logits - maximum[:, None]), own_rows, maximum)

    return chunked_loss(queries, columns, own, bounded, weights, unless=(far, exact), most=most)


def _cross_entropy(shares: tf.Tensor, own: tf.Tensor, shift: tf.Tensor) -> ChunkLoss:
    """Of float32 [rows] positive logits and [rows, columns] exponentials of the other logits, less ``shift`` each."""
    own_share = tf.exp(own - shift)
    totals = tf.reduce_sum(shares, axis=1) + own_share
    return ChunkLoss(tf.math.log(totals) + shift - own, shares, 1.0 / totals, own_share / totals - 1.0)


def _longest(rows: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_max(tf.reduce_sum(tf.square(rows), axis=1)))


def _without(logits: tf.Tensor, masked: Entries | None, rows: slice) -> tf.Tensor:
    if masked is None:
        return logits
    places = masked.within(rows)
    return tf.tensor_scatter_nd_update(logits, places, tf.fill([tf.shape(places)[0]], -float("inf")))
