"""Losses over a [batch, columns] block of logits that exists one chunk of queries at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

CHUNK_LOGITS = 1 << 20  # logits alive at a time: 4 MB, near the size of a core's cache


class Entries(NamedTuple):
    """Places in a [batch, columns] block.

    Attributes:
      rows: int32 [n], ascending.
      columns: int32 [n].
    """

    rows: tf.Tensor
    columns: tf.Tensor

    def within(self, rows: slice) -> tf.Tensor:
        """int32 [m, 2]: the places in these rows, counted from the first of them."""
        first, last = tf.unstack(tf.searchsorted(self.rows, tf.stack([rows.start, rows.stop])))
        return tf.stack([self.rows[first:last] - rows.start, self.columns[first:last]], axis=1)


class ChunkLoss(NamedTuple):
    """What a head makes of a chunk.

    Attributes:
      losses: float32 [rows].
      gradient: float32 [rows, columns] of the loss with respect to the logits, up to ``scale``.
      scale: float32 [rows] that each row of ``gradient`` lacks; multiplying the products with it is cheaper.
      own_gradient: float32 [rows] with respect to the queries' own values.
    """

    losses: tf.Tensor
    gradient: tf.Tensor
    scale: tf.Tensor
    own_gradient: tf.Tensor

    def times(self, weights: tf.Tensor) -> ChunkLoss:
        """The same with each row's loss multiplied by its weight [rows]."""
        return ChunkLoss(weights * self.losses, self.gradient, weights * self.scale, weights * self.own_gradient)


Head = Callable[[tf.Tensor, slice, tf.Tensor], ChunkLoss]


def chunked_loss(queries: tf.Tensor, columns: tf.Tensor, own: tf.Tensor, head: Head, weights: tf.Tensor | None = None,
                 unless: tuple[tf.Tensor, Head] | None = None, most: int | None = None) -> tf.Tensor:
    """Sum of ``head`` over chunks of the logits ``queries @ columns.T``, with gradients formed in the same pass.

    Args:
      queries: float32 [batch, dim].
      columns: float32 [columns, dim].
      own: float32 [batch], a further differentiable value of each query, such as its positive logit.
      head: from float32 [rows, columns] logits, the slice of the queries they belong to, and float32 [rows] own
        values; what else it reads carries no gradient.
      weights: float32 [batch] of the queries' losses, each 1 where None; carries no gradient.
      unless: where the boolean scalar is true, this head in place of the other.
      most: columns that there can be in any batch, where that is known; a single chunk then needs no loop.

    Returns:
      float32 scalar.
    """
    @tf.custom_gradient
    def loss(queries: tf.Tensor, columns: tf.Tensor, own: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        def over_chunks(head: Head) -> tuple[tf.Tensor, ...]:
            batch = queries.shape[0]
            if batch is not None and most is not None and batch * most <= CHUNK_LOGITS:
                return _chunk(queries, columns, own, slice(0, batch), head, weights)
            return _over_chunks(queries, columns, own, head, weights)

        if unless is None:
            total, *parts = over_chunks(head)
        else:
            total, *parts = tf.cond(unless[0], lambda: over_chunks(unless[1]), lambda: over_chunks(head))
        return total, lambda upstream: tuple(upstream * part for part in parts)

    return loss(queries, columns, own)


def _chunk(queries: tf.Tensor, columns: tf.Tensor, own: tf.Tensor, rows: slice, head: Head,
           weights: tf.Tensor | None) -> tuple[tf.Tensor, ...]:
    """The loss of the queries ``rows``, and its gradients with respect to queries, columns and own values."""
    done = head(tf.matmul(queries, columns, transpose_b=True), rows, own)
    if weights is not None:
        done = done.times(weights)
    scale = done.scale[:, None]
    return (tf.reduce_sum(done.losses), scale * tf.matmul(done.gradient, columns),
            tf.matmul(done.gradient, scale * queries, transpose_a=True), done.own_gradient)


def _over_chunks(queries: tf.Tensor, columns: tf.Tensor, own: tf.Tensor, head: Head,
                 weights: tf.Tensor | None) -> tuple[tf.Tensor, ...]:
    """The same for all queries, one chunk after the other."""
    batch, width = tf.shape(queries)[0], tf.shape(columns)[0]
    chunk = tf.clip_by_value(CHUNK_LOGITS // width, 1, batch)
    chunks = (batch + chunk - 1) // chunk
    parts = tf.TensorArray(tf.float32, size=chunks, infer_shape=False, element_shape=[None, queries.shape[1]])
    own_parts = tf.TensorArray(tf.float32, size=chunks, infer_shape=False, element_shape=[None])

    def body(index: tf.Tensor, total: tf.Tensor, parts: tf.TensorArray, own_parts: tf.TensorArray,
             column_gradient: tf.Tensor) -> tuple[Any, ...]:
        rows = slice(index * chunk, tf.minimum((index + 1) * chunk, batch))
        loss, part, more, own_part = _chunk(queries[rows], columns, own[rows], rows, head,
                                            None if weights is None else weights[rows])
        return (index + 1, total + loss, parts.write(index, part), own_parts.write(index, own_part),
                column_gradient + more)

    _, total, parts, own_parts, column_gradient = tf.while_loop(
        lambda index, *_: index < chunks, body,
        (tf.constant(0), tf.constant(0.0), parts, own_parts, tf.zeros_like(columns)), parallel_iterations=1)
    return (total, tf.ensure_shape(parts.concat(), queries.shape), column_gradient,
            tf.ensure_shape(own_parts.concat(), own.shape))
