"""Softmax cross-entropy against many negatives, with loss and gradients in one pass over chunks of queries."""

from __future__ import annotations

import tensorflow as tf

from tfrs_pretrain.pretraining.chunked_loss import ChunkLoss, chunked_loss
from tfrs_pretrain.pretraining.logit_positions import LogitPositions

_MAX_GAP = 80.0  # exp(-80) is still a normal float32


def softmax_loss(queries: tf.Tensor, negatives: tf.Tensor, bias: tf.Tensor, positive: tf.Tensor,
                 masked: LogitPositions | None = None, weights: tf.Tensor | None = None,
                 max_negatives: int | None = None) -> tf.Tensor:
    """Sum over the queries of log(exp(positive) + sum(exp(logits))) - positive.

    The logits are ``queries @ negatives.T + bias``; only one chunk of them exists at a time, together with its
    gradients. Exponentials are relative to one upper bound of all logits, which is free to compute. If a positive lies
    too far below that bound (large norms, low temperatures), they are relative to each row's maximum instead. Neither
    overflows, and in neither does a whole row underflow.

    Args:
      queries: float32 [batch, dim].
      negatives: float32 [negatives, dim].
      bias: float32 [negatives]; carries no gradient.
      positive: float32 [batch], positive logits.
      masked: positions to leave out, such as those of a query's positive if it is among the negatives.
      weights: float32 [batch], weights of the queries' losses, 1 if None.
      max_negatives: upper bound of the negatives in any batch, if known.

    Returns:
      float32 scalar.
    """
    # The bound covers the positives too: their corrections may exceed the largest bias.
    bound = tf.maximum(_max_norm(queries) * _max_norm(negatives) + tf.reduce_max(bias), tf.reduce_max(positive))
    too_far = bound - tf.reduce_min(positive) > _MAX_GAP
    shifted_bias = bias - bound

    def relative_to_bound(products: tf.Tensor, chunk: slice, positive: tf.Tensor) -> ChunkLoss:
        return _cross_entropy(tf.exp(_mask(products + shifted_bias, masked, chunk)), positive, bound)

    def relative_to_row_maximum(products: tf.Tensor, chunk: slice, positive: tf.Tensor) -> ChunkLoss:
        logits = _mask(products + bias, masked, chunk)                                    # [chunk, negatives]
        maximum = tf.maximum(tf.reduce_max(logits, axis=1), positive)
        return _cross_entropy(tf.exp(logits - maximum[:, None]), positive, maximum)

    return chunked_loss(queries, negatives, positive, relative_to_bound, weights,
                        fallback=(too_far, relative_to_row_maximum), max_negatives=max_negatives)


def _cross_entropy(exponentials: tf.Tensor, positive: tf.Tensor, shift: tf.Tensor) -> ChunkLoss:
    """The cross-entropy of a chunk.

    Args:
      exponentials: float32 [chunk, negatives], exp(logit - shift).
      positive: float32 [chunk], positive logits.
      shift: float32 scalar or [chunk].
    """
    positive_exponential = tf.exp(positive - shift)
    totals = tf.reduce_sum(exponentials, axis=1) + positive_exponential
    return ChunkLoss(tf.math.log(totals) + shift - positive, exponentials, 1.0 / totals,
                     positive_exponential / totals - 1.0)


def _max_norm(vectors: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_max(tf.reduce_sum(tf.square(vectors), axis=1)))


def _mask(logits: tf.Tensor, masked: LogitPositions | None, chunk: slice) -> tf.Tensor:
    if masked is None:
        return logits
    positions = masked.within(chunk)
    return tf.tensor_scatter_nd_update(logits, positions, tf.fill([tf.shape(positions)[0]], -float("inf")))
