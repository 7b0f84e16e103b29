"""Softmax cross-entropy against many columns, with loss and gradients in one pass over chunks of queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

CHUNK_LOGITS = 1 << 20  # logits alive at a time: 4 MB, near the size of a core's cache


@tf.custom_gradient
def softmax_loss(queries: tf.Tensor, columns: tf.Tensor, bias: tf.Tensor, positive: tf.Tensor,
                 own_bias: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
    """Sum over queries of logsumexp(logits) - positive logit, where ``logits = queries @ columns.T + bias``.

    Each query's own column takes ``own_bias`` in place of its ``bias``. Exact: every row's maximum is subtracted. The
    [batch, columns] logits exist one chunk at a time, and gradients are formed while they do.

    Args:
      queries: float32 [batch, dim].
      columns: float32 [columns, dim].
      bias: float32 [columns]; carries no gradient.
      positive: int32 [batch], each query's own column.
      own_bias: float32 [batch]; carries no gradient.

    Returns:
      float32 scalar.
    """
    batch, width = tf.shape(queries)[0], tf.shape(columns)[0]
    chunk = tf.clip_by_value(CHUNK_LOGITS // width, 1, batch)
    chunks = (batch + chunk - 1) // chunk
    query_gradients = tf.TensorArray(tf.float32, size=chunks, infer_shape=False,
                                     element_shape=[None, queries.shape[1]])
    shift = own_bias - tf.gather(bias, positive)

    def body(index: tf.Tensor, loss: tf.Tensor, parts: tf.TensorArray,
             column_gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray, tf.Tensor]:
        rows = slice(index * chunk, tf.minimum((index + 1) * chunk, batch))
        loss_part, gradient = _losses_and_gradient(queries[rows], columns, bias, positive[rows], shift[rows])
        return (index + 1, loss + loss_part, parts.write(index, tf.matmul(gradient, columns)),
                column_gradient + tf.matmul(gradient, queries[rows], transpose_a=True))

    _, total, parts, column_gradient = tf.while_loop(
        lambda index, *_: index < chunks, body,
        (tf.constant(0), tf.constant(0.0), query_gradients, tf.zeros_like(columns)), parallel_iterations=1)
    query_gradient = tf.ensure_shape(parts.concat(), queries.shape)

    def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        return upstream * query_gradient, upstream * column_gradient, None, None, None

    return total, gradients


def _losses_and_gradient(queries: tf.Tensor, columns: tf.Tensor, bias: tf.Tensor, positive: tf.Tensor,
                         shift: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Summed loss and float32 [batch, columns] gradient of the logits."""
    own = tf.stack([tf.range(tf.shape(positive)[0]), positive], axis=1)
    logits = tf.matmul(queries, columns, transpose_b=True) + bias                         # [batch, columns]
    logits = tf.tensor_scatter_nd_add(logits, own, shift)
    maximum = tf.reduce_max(logits, axis=1, keepdims=True)
    weights = tf.exp(logits - maximum)
    totals = tf.reduce_sum(weights, axis=1, keepdims=True)
    losses = tf.math.log(totals) + maximum - tf.gather(logits, positive[:, None], batch_dims=1)
    return tf.reduce_sum(losses), tf.tensor_scatter_nd_sub(weights / totals, own, tf.ones_like(shift))
