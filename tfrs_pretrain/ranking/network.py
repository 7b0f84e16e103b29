"""The dense part of the ranker: a multilayer perceptron over rows that were gathered outside of it.

Keras holds no embedding table: its embedding layer and optimizers cost time in the size of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable("tfrs_pretrain")
class RankingNetwork(keras.Model):
    """Concatenates named inputs and maps them to one logit a head.

    Args:
      hidden: units of each hidden layer (ReLU).
      seed: of the initial weights; the same seed and shapes give the same weights.
      heads: logits an impression, one a label.
    """

    def __init__(self, hidden: Sequence[int], seed: int, heads: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden = tuple(hidden)
        self.seed = seed
        self.heads = heads
        self.hidden_layers = [
            keras.layers.Dense(units, "relu", kernel_initializer=keras.initializers.HeNormal(seed + position))
            for position, units in enumerate(self.hidden)
        ]
        last = keras.initializers.GlorotUniform(seed + len(self.hidden))
        self.head = keras.layers.Dense(heads, kernel_initializer=last)

    def build(self, input_shape: dict[str, tuple[int | None, ...]]) -> None:
        """Builds every layer from the width of each input, as ``{name: (None, width)}``."""
        width = sum(shape[-1] or 0 for shape in input_shape.values())
        for layer in (*self.hidden_layers, self.head):
            layer.build((None, width))
            width = layer.units
        self.built = True

    def call(self, inputs: dict[str, Any]) -> Any:
        """float32 [batch, heads] logits of ``{name: [batch, width]}``; inputs are joined in order of name."""
        hidden = keras.ops.concatenate([inputs[name] for name in sorted(inputs)], axis=-1)  # [batch, sum of widths]
        for layer in self.hidden_layers:
            hidden = layer(hidden)  # [batch, units]
        return self.head(hidden)  # [batch, heads]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": list(self.hidden), "seed": self.seed, "heads": self.heads}
