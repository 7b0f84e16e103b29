"""Many rows of an impression to one: mean, or attention to the candidate item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


def mean_pooling(rows: Any, mask: Any) -> Any:
    """[batch, dim] mean of the rows [batch, length, dim] where the mask [batch, length] is true; zeros without any.

    Rows where it is false must be 0.
    """
    count = keras.ops.sum(keras.ops.cast(mask, rows.dtype), axis=1, keepdims=True)  # [batch, 1]
    return keras.ops.sum(rows, axis=1) / keras.ops.maximum(count, 1)


@keras.saving.register_keras_serializable("tfrs_pretrain")
class TargetAttention(keras.layers.Layer):
    """The local activation unit of Deep Interest Network, Zhou et al., KDD 2018 (arXiv 1706.06978), equation (3).

    The pooled row is the sum of a(h_j, q) h_j over the rows h_j of a history, where a is a small network over h, the
    candidate q and their interactions h - q and h * q. As in the paper the weights are not normalised by a softmax, so
    that they keep the strength of the interest. The paper leaves the size of the network and the inputs of its first
    layer open; these are this project's choice.

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
        """Creates the weights for rows (None, length, dim)."""
        *leading, dim = input_shape
        self.kernel = self.add_weight(shape=(4 * (dim or 0), self.hidden[0]), name="kernel",
                                      initializer=keras.initializers.HeNormal(self.seed))
        self.bias = self.add_weight(shape=(self.hidden[0],), initializer="zeros", name="bias")
        width = self.hidden[0]
        for layer in (*self.upper, self.last):
            layer.build((*leading, width))
            width = layer.units
        self.built = True

    def call(self, rows: Any, query: Any, mask: Any) -> Any:
        """[batch, dim] of rows [batch, length, dim], candidates [batch, dim] and a mask [batch, length].

        The first layer is (h, q, h - q, h * q) W without the fourfold rows: W falls into four blocks, of which those
        of q need no product for each row.
        """
        plain, target, difference, product = keras.ops.split(self.kernel, 4, axis=0)  # [dim, units] each
        candidate = keras.ops.expand_dims(query, 1)  # [batch, 1, dim]
        hidden = keras.ops.relu(
            keras.ops.matmul(rows, plain + difference)
            + keras.ops.matmul(candidate, target - difference)
            + keras.ops.matmul(rows * candidate, product)
            + self.bias)  # [batch, length, units]
        for layer in self.upper:
            hidden = layer(hidden)
        weights = keras.ops.where(keras.ops.expand_dims(mask, 2), self.last(hidden), 0)  # [batch, length, 1]
        return keras.ops.sum(weights * rows, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": list(self.hidden), "seed": self.seed}
