"""Pooling of several rows of an impression into one: mean, or attention to the candidate item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def mean_pooling(rows: Any, mask: Any) -> Any:
    """Return [batch, dim], the mean of the unmasked rows; zeros for an impression without rows.

    Args:
      rows: [batch, length, dim], 0 where masked.
      mask: bool [batch, length], false where padded.
    """
    count = keras.ops.sum(keras.ops.cast(mask, rows.dtype), axis=1, keepdims=True)  # [batch, 1]
    return keras.ops.sum(rows, axis=1) / keras.ops.maximum(count, 1)


def ragged_mean_pooling(rows: Any, owners: Any, batch: Any) -> Any:
    """Return [batch, dim], the mean of each impression's rows; zeros for an impression without rows.

    Args:
      rows: [n, dim] without padding.
      owners: int [n], ascending: index of each row's impression.
      batch: number of impressions.
    """
    count = sum_by_owner(keras.ops.ones_like(rows[:, :1]), owners, batch)
    return sum_by_owner(rows, owners, batch) / keras.ops.maximum(count, 1)


def sum_by_owner(rows: Any, owners: Any, batch: Any) -> Any:
    """Return [batch, dim], the sum of each impression's rows; arguments as for ``ragged_mean_pooling``."""
    sums = tf.math.segment_sum(rows, owners)  # [last owner + 1, dim]
    return tf.pad(sums, [[0, batch - tf.shape(sums)[0]], [0, 0]])


@tf.custom_gradient
def gather_by_owner(values: Any, owners: Any) -> tuple[Any, Callable[[Any], tuple[Any, None]]]:
    """Return [n, dim], the value of each row's impression, from values [batch, dim] and ascending ``owners`` [n].

    It differs from a gather only in its gradient, which exploits the ascending order and takes a fifth of the time.
    """
    batch = tf.shape(values)[0]
    return tf.gather(values, owners), lambda upstream: (sum_by_owner(upstream, owners, batch), None)


@keras.saving.register_keras_serializable("tfrs_pretrain")
class TargetAttention(keras.layers.Layer):
    """Local activation unit of Deep Interest Network, Zhou et al., KDD 2018 (arXiv 1706.06978), equation (3).

    The pooled row is the sum of a(h_j, q) h_j over the rows h_j of a history, where a is a small network over h, the
    candidate q and their interactions h - q and h * q. As in the paper, the weights are not normalised by a softmax, so
    they preserve the intensity of the interest. The paper does not specify the size of the network and the inputs of
    its first layer; these are this project's choice.

    Args:
      hidden: units of each hidden layer of the network (ReLU), at least one layer.
      seed: of the initial weights.
    """

    def __init__(self, hidden: Sequence[int], seed: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden, self.seed = tuple(hidden), seed
        self.upper = [keras.layers.Dense(units, "relu", kernel_initializer=keras.initializers.HeNormal(seed + position),
                                         dtype=self.dtype_policy)
                      for position, units in enumerate(self.hidden[1:], 1)]
        self.last = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed + len(self.hidden)),
                                       dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for rows (None, length, dim)."""
        *leading, dim = input_shape
        self.kernel = self.add_weight(shape=(4 * (dim or 0), self.hidden[0]), name="kernel",
                                      initializer=keras.initializers.HeNormal(self.seed))
        self.bias = self.add_weight(shape=(self.hidden[0],), initializer="zeros", name="bias")
        width = self.hidden[0]
        for layer in (*self.upper, self.last):
            layer.build((*leading, width))
            width = layer.units
        self.built = True

    def call(self, rows: Any, query: Any, mask: Any = None, owners: Any = None) -> Any:
        """Pool rows to [batch, dim].

        Args:
          rows: [batch, length, dim] with ``mask``, or [n, dim] without padding with ``owners``.
          query: [batch, dim] rows of the candidate items.
          mask: bool [batch, length], false where padded.
          owners: int [n], ascending: index of each row's impression.
        """
        _, target, difference, _ = keras.ops.split(self.kernel, 4, axis=0)  # [dim, units] each
        candidate_part = keras.ops.matmul(query, target - difference) + self.bias  # [batch, units]
        if owners is None:
            weights = self._interest(rows, keras.ops.expand_dims(query, 1), keras.ops.expand_dims(candidate_part, 1))
            weights = keras.ops.where(keras.ops.expand_dims(mask, 2), weights, 0)  # [batch, length, 1]
            return keras.ops.sum(weights * rows, axis=1)
        weights = self._interest(rows, gather_by_owner(query, owners), gather_by_owner(candidate_part, owners))
        return sum_by_owner(weights * rows, owners, tf.shape(query)[0])

    def _interest(self, rows: Any, candidate: Any, candidate_part: Any) -> Any:
        """Return the [..., 1] attention weights of rows [..., dim].

        The first layer is (h, q, h - q, h * q) W, computed without concatenating four inputs: W consists of four
        blocks, and the products with q are computed once for each candidate instead of once for each row.

        Args:
          rows: h.
          candidate: q, with the same leading dimensions or dimensions of 1.
          candidate_part: [..., units], the first layer's products with q and its bias.
        """
        plain, _, difference, product = keras.ops.split(self.kernel, 4, axis=0)
        hidden = keras.ops.relu(keras.ops.matmul(rows, plain + difference)
                                + keras.ops.matmul(rows * candidate, product) + candidate_part)
        for layer in self.upper:
            hidden = layer(hidden)
        return self.last(hidden)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": list(self.hidden), "seed": self.seed}
