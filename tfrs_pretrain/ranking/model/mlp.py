"""Multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfrs_pretrain.ranking.model.input_sides import InputSide, join_sides, project_sides


@keras.saving.register_keras_serializable("tfrs_pretrain")
class Mlp(keras.layers.Layer):
    """Dense layers with ReLU.

    Args:
      hidden: units of each layer; without layers the output is the input.
      seed: of the initial weights.
    """

    def __init__(self, hidden: Sequence[int], seed: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden, self.seed = tuple(hidden), seed
        self.hidden_layers = [
            keras.layers.Dense(units, "relu", kernel_initializer=keras.initializers.HeNormal(seed + position),
                               dtype=self.dtype_policy)
            for position, units in enumerate(self.hidden)
        ]

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Build every layer for inputs (None, width)."""
        for layer in self.hidden_layers:
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Map [batch, width] to [batch, units of the last layer]."""
        for layer in self.hidden_layers:
            inputs = layer(inputs)  # [batch, units]
        return inputs

    def call_sides(self, sides: Sequence[InputSide]) -> Any:
        """Compute ``call`` of the joined sides, each side's share of the first layer once for each of its own rows."""
        if not self.hidden_layers:
            return join_sides(sides)
        first, *upper = self.hidden_layers
        features = first.activation(project_sides(sides, first.kernel, first.bias))  # [batch, units]
        for layer in upper:
            features = layer(features)
        return features

    def compute_output_shape(self, input_shape: tuple[int | None, int]) -> tuple[int | None, int]:
        return (input_shape[0], self.hidden[-1] if self.hidden else input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": list(self.hidden), "seed": self.seed}
