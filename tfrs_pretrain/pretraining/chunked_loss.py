"""Losses over a [batch, negatives] block of logits of which only one chunk of queries exists at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

CHUNK_LOGITS = 1 << 20  # logits in memory at a time: 4 MB, about the size of a core's cache
# 512 MB, and some copies of it: on a GPU, each chunk costs a wait of the host and some twenty launches.
GPU_CHUNK_LOGITS = 1 << 27


class ChunkLoss(NamedTuple):
    """The losses of one chunk of queries and their gradients.

    Attributes:
      losses: float32 [chunk].
      gradient: float32 [chunk, negatives] with respect to the logits, before ``scale`` is applied.
      scale: float32 [chunk], factor of each row of ``gradient``; scaling the products with it is cheaper.
      positive_gradient: float32 [chunk] with respect to the queries' positive logits.
    """

    losses: tf.Tensor
    gradient: tf.Tensor
    scale: tf.Tensor
    positive_gradient: tf.Tensor

    def weighted(self, weights: tf.Tensor) -> ChunkLoss:
        """The same with each query's loss multiplied by its weight, float32 [chunk]."""
        return ChunkLoss(weights * self.losses, self.gradient, weights * self.scale, weights * self.positive_gradient)


ChunkLossFunction = Callable[[tf.Tensor, slice, tf.Tensor], ChunkLoss]


def chunked_loss(queries: tf.Tensor, negatives: tf.Tensor, positive: tf.Tensor, loss_function: ChunkLossFunction,
                 weights: tf.Tensor | None = None, fallback: tuple[tf.Tensor, ChunkLossFunction] | None = None,
                 max_negatives: int | None = None) -> tf.Tensor:
    """Sum ``loss_function`` over chunks of the logits ``queries @ negatives.T``; gradients form in the same pass.

    Args:
      queries: float32 [batch, dim].
      negatives: float32 [negatives, dim].
      positive: float32 [batch], a further differentiable value of each query: its positive logit.
      loss_function: called with float32 [chunk, negatives] logits, the slice of the queries they belong to, and float32
        [chunk] positive logits. What else it reads carries no gradient.
      weights: float32 [batch], weights of the queries' losses, 1 if None; carries no gradient.
      fallback: where the boolean scalar is true, this function replaces ``loss_function``.
      max_negatives: upper bound of the negatives in any batch, if known; a single chunk then needs no loop.

    Returns:
      float32 scalar.
    """
    @tf.custom_gradient
    def loss(queries: tf.Tensor, negatives: tf.Tensor,
             positive: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
        def evaluate(function: ChunkLossFunction) -> tuple[tf.Tensor, ...]:
            batch = queries.shape[0]
            if batch is not None and max_negatives is not None and batch * max_negatives <= chunk_logits():
                return _chunk(queries, negatives, positive, slice(0, batch), function, weights)
            return _all_chunks(queries, negatives, positive, function, weights)

        if fallback is None:
            total, *gradients = evaluate(loss_function)
        else:
            total, *gradients = tf.cond(fallback[0], lambda: evaluate(fallback[1]), lambda: evaluate(loss_function))
        return total, lambda upstream: tuple(upstream * gradient for gradient in gradients)

    return loss(queries, negatives, positive)


def chunk_logits() -> int:
    """Logits in memory at a time on the devices of this process."""
    return GPU_CHUNK_LOGITS if tf.config.list_logical_devices("GPU") else CHUNK_LOGITS


def _chunk(queries: tf.Tensor, negatives: tf.Tensor, positive: tf.Tensor, chunk: slice, function: ChunkLossFunction,
           weights: tf.Tensor | None) -> tuple[tf.Tensor, ...]:
    """The summed loss of a chunk, and its gradients with respect to queries, negatives and positive logits."""
    result = function(tf.matmul(queries, negatives, transpose_b=True), chunk, positive)
    if weights is not None:
        result = result.weighted(weights)
    scale = result.scale[:, None]
    return (tf.reduce_sum(result.losses), scale * tf.matmul(result.gradient, negatives),
            tf.matmul(result.gradient, scale * queries, transpose_a=True), result.positive_gradient)


def _all_chunks(queries: tf.Tensor, negatives: tf.Tensor, positive: tf.Tensor, function: ChunkLossFunction,
                weights: tf.Tensor | None) -> tuple[tf.Tensor, ...]:
    """As ``_chunk`` for all queries, one chunk after the other."""
    batch, num_negatives = tf.shape(queries)[0], tf.shape(negatives)[0]
    size = tf.clip_by_value(chunk_logits() // num_negatives, 1, batch)
    num_chunks = (batch + size - 1) // size
    parts = tf.TensorArray(tf.float32, size=num_chunks, infer_shape=False, element_shape=[None, queries.shape[1]])
    positive_parts = tf.TensorArray(tf.float32, size=num_chunks, infer_shape=False, element_shape=[None])

    def body(index: tf.Tensor, total: tf.Tensor, parts: tf.TensorArray, positive_parts: tf.TensorArray,
             negative_gradient: tf.Tensor) -> tuple[Any, ...]:
        chunk = slice(index * size, tf.minimum((index + 1) * size, batch))
        loss, query_part, negative_part, positive_part = _chunk(
            queries[chunk], negatives, positive[chunk], chunk, function, None if weights is None else weights[chunk])
        return (index + 1, total + loss, parts.write(index, query_part), positive_parts.write(index, positive_part),
                negative_gradient + negative_part)

    _, total, parts, positive_parts, negative_gradient = tf.while_loop(
        lambda index, *_: index < num_chunks, body,
        (tf.constant(0), tf.constant(0.0), parts, positive_parts, tf.zeros_like(negatives)), parallel_iterations=1)
    return (total, tf.ensure_shape(parts.concat(), queries.shape), negative_gradient,
            tf.ensure_shape(positive_parts.concat(), positive.shape))
