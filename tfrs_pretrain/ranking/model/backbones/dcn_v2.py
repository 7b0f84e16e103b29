"""Deep & Cross Network V2: explicit feature crosses parallel to, or before, a multilayer perceptron.

Wang, Shivanna, Cheng, Jain, Lin, Hong and Chi, "DCN V2: Improved Deep & Cross Network and Practical Lessons for
Web-scale Learning to Rank Systems", WWW 2021, arXiv 2008.13535.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfrs_pretrain.ranking.model.input_sides import InputSide, join_sides
from tfrs_pretrain.ranking.model.mlp import Mlp
from tfrs_pretrain.ranking.model.network import RankingNetwork

CROSS_SEEDS = 1000  # offset that keeps the seeds of cross layers distinct from those of the hidden layers


@keras.saving.register_keras_serializable("tfrs_pretrain")
class CrossLayer(keras.layers.Layer):
    """Cross layer ``x0 * (W x + b) + x``, equation (1) of the paper; with a rank, ``W = U V^T``, equation (2).

    Args:
      rank: number of columns of U and V; None for a full matrix W.
      seed: of the initial weights.
    """

    def __init__(self, rank: int | None, seed: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.rank, self.seed = rank, seed

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Create the weights for features (None, width)."""
        width = input_shape[-1]
        shapes = [(width, width)] if self.rank is None else [(width, self.rank), (self.rank, width)]
        self.kernels = [
            self.add_weight(shape=shape, initializer=keras.initializers.GlorotUniform(self.seed + position),
                            name=f"kernel_{position}")
            for position, shape in enumerate(shapes)
        ]
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")
        self.built = True

    def call(self, features: Any, base: Any) -> Any:
        """Cross the previous layer's features [batch, width] with the inputs x0 [batch, width] to [batch, width]."""
        product = features
        for kernel in self.kernels:
            product = keras.ops.matmul(product, kernel)
        return base * (product + self.bias) + features

    def compute_output_shape(self, input_shape: tuple[int | None, int], *_: Any) -> tuple[int | None, int]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rank": self.rank, "seed": self.seed}


@keras.saving.register_keras_serializable("tfrs_pretrain")
class DcnV2(keras.layers.Layer):
    """Cross layers and an MLP; in the paper neither structure is always better.

    Args:
      hidden: units of the MLP's layers.
      seed: of the initial weights.
      cross_layers: number of cross layers.
      rank: of each cross layer's matrix; None for a full matrix.
      structure: "parallel" concatenates the outputs of both on the same inputs; "stacked" applies the MLP to the output
        of the cross layers.
    """

    def __init__(self, hidden: Sequence[int], seed: int, cross_layers: int, rank: int | None, structure: str,
                 **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden, self.seed, self.rank, self.structure = tuple(hidden), seed, rank, structure
        self.deep = Mlp(hidden, seed, dtype=self.dtype_policy)
        self.crosses = [CrossLayer(rank, seed + CROSS_SEEDS + 2 * position, dtype=self.dtype_policy)
                        for position in range(cross_layers)]

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Build every layer for inputs (None, width); cross layers preserve the width."""
        self.deep.build(input_shape)
        for cross in self.crosses:
            cross.build(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Map [batch, width] to [batch, units]."""
        features = self._crossed(inputs)
        if self.structure == "stacked":
            return self.deep(features)  # [batch, hidden units]
        return keras.ops.concatenate([features, self.deep(inputs)], axis=-1)  # [batch, width + hidden units]

    def call_sides(self, sides: Sequence[InputSide]) -> Any:
        """Compute ``call`` of the joined sides; only the MLP is faster, because cross layers combine all columns."""
        features = self._crossed(join_sides(sides))
        if self.structure == "stacked":
            return self.deep(features)
        return keras.ops.concatenate([features, self.deep.call_sides(sides)], axis=-1)

    def _crossed(self, inputs: Any) -> Any:
        features = inputs
        for cross in self.crosses:
            features = cross(features, inputs)  # [batch, width]
        return features

    def compute_output_shape(self, input_shape: tuple[int | None, int]) -> tuple[int | None, int]:
        batch, deep = self.deep.compute_output_shape(input_shape)
        return (batch, deep if self.structure == "stacked" else deep + input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": list(self.hidden), "seed": self.seed,
                "cross_layers": len(self.crosses), "rank": self.rank, "structure": self.structure}


def dcn_v2_network(*, cross_layers: int, rank: int | None, structure: str, hidden: Sequence[int], seed: int, dtype: str,
                   heads: int, head_hidden: Sequence[int], attention: Sequence[str], attention_hidden: Sequence[int]
                   ) -> RankingNetwork:
    """Create the ranking network; arguments as for ``DcnV2`` and ``RankingNetwork``."""
    backbone = DcnV2(hidden, seed, cross_layers, rank, structure, dtype=dtype)
    return RankingNetwork(backbone, seed, heads, head_hidden, attention, attention_hidden, dtype=dtype)
