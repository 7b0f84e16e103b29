"""The network of the built-in backbones: pooling, backbone and heads over rows that are gathered outside of it.

Keras has no embedding table here: the time of its embedding layer and optimizers grows with the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfrs_pretrain.ranking.model.contract import OneUserRow, UnpaddedRows, masks_of, rows_of
from tfrs_pretrain.ranking.model.input_sides import InputSide
from tfrs_pretrain.ranking.model.mlp import Mlp
from tfrs_pretrain.ranking.model.pooling import TargetAttention, mean_pooling, ragged_mean_pooling
from tfrs_pretrain.schema import ITEM_ROW

# Offsets that keep the seeds of attention and heads distinct from those of the backbone and of each other.
ATTENTION_SEEDS, HEAD_SEEDS = 2000, 100


@keras.saving.register_keras_serializable("tfrs_pretrain")
class RankingNetwork(OneUserRow, UnpaddedRows, keras.Model):
    """Network that pools and joins named inputs and maps them to one logit for each head.

    Args:
      backbone: Keras layer from joined inputs [batch, width] to features [batch, units], see ``backbones``.
      seed: of the initial weights; the same seed and shapes result in the same weights.
      heads: number of logits for each impression, one for each label.
      head_hidden: units of each head's own hidden layers (ReLU).
      attention: names of inputs pooled by target attention; other inputs of several rows are averaged.
      attention_hidden: units of the attention's hidden layers.
    """

    def __init__(self, backbone: keras.layers.Layer, seed: int, heads: int = 1, head_hidden: Sequence[int] = (),
                 attention: Sequence[str] = (), attention_hidden: Sequence[int] = (), **kwargs: Any):
        super().__init__(**kwargs)
        self.backbone, self.seed, self.head_hidden = backbone, seed, tuple(head_hidden)
        self.attention = {
            name: TargetAttention(attention_hidden, seed + ATTENTION_SEEDS * (1 + index), dtype=self.dtype_policy)
            for index, name in enumerate(attention)}
        self.attention_hidden = tuple(attention_hidden)
        seeds = [seed + len(backbone.hidden) + HEAD_SEEDS * index for index in range(heads)]
        self.towers = [Mlp(head_hidden, head + 1, dtype=self.dtype_policy) for head in seeds]
        # Always float32: probabilities near 0 and 1 need its precision.
        self.heads = [keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(head), dtype="float32")
                      for head in seeds]

    def build(self, input_shape: dict[str, tuple[int | None, ...]]) -> None:
        """Build every layer from the input shapes: name -> (None, width) or (None, length, width)."""
        for name, layer in self.attention.items():
            layer.build(tuple(input_shape[name]))
        joined = (None, sum(shape[-1] or 0 for shape in input_shape.values()))
        if not self.backbone.built:  # loading a saved network builds it first
            self.backbone.build(joined)
        features = self.backbone.compute_output_shape(joined)
        for tower, head in zip(self.towers, self.heads, strict=True):
            tower.build(features)
            head.build(tower.compute_output_shape(features))
        self.built = True

    def call(self, features: Mapping[str, Any], training: bool = False, sides: Sequence[Sequence[str]] | None = None,
             owners: Mapping[str, Any] | None = None) -> Any:
        """Return float32 [batch, heads] logits; inputs are joined in order of name.

        Args:
          features: inputs and masks, see ``contract``; an input with owners is [n, width].
          training: passed to the backbone's layers by Keras.
          sides: groups of input names. The pooled inputs of a group all have one row or all have the batch's rows; the
            last group has the batch's rows. The computation for a group of one row is done once. None: every input has
            the batch's rows.
          owners: name of each input of several rows without padding -> int [n], ascending: index of each row's
            impression.
        """
        del training  # Keras passes it to the layers itself
        inputs = rows_of(features)
        pooled = dict(inputs)
        pooled |= {name: self._pooled(name, inputs, mask) for name, mask in masks_of(features).items()}
        pooled |= {name: self._pooled_ragged(name, inputs, owner) for name, owner in (owners or {}).items()}
        if sides is None:
            hidden = self.backbone(keras.ops.concatenate([pooled[name] for name in sorted(pooled)], axis=-1))
        else:
            hidden = self.backbone.call_sides(_sides(pooled, sides))
        logits = [head(tower(hidden)) for tower, head in zip(self.towers, self.heads, strict=True)]
        return keras.ops.concatenate(logits, axis=-1)

    def _pooled(self, name: str, inputs: Mapping[str, Any], mask: Any) -> Any:
        rows = keras.ops.where(keras.ops.expand_dims(mask, 2), inputs[name], 0)  # [batch, length, width]
        if name in self.attention:
            return self.attention[name](rows, inputs[ITEM_ROW], mask)
        return mean_pooling(rows, mask)

    def _pooled_ragged(self, name: str, inputs: Mapping[str, Any], owners: Any) -> Any:
        if name in self.attention:
            return self.attention[name](inputs[name], inputs[ITEM_ROW], owners=owners)
        return ragged_mean_pooling(inputs[name], owners, keras.ops.shape(inputs[ITEM_ROW])[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "backbone": keras.saving.serialize_keras_object(self.backbone),
                "seed": self.seed, "heads": len(self.heads), "head_hidden": list(self.head_hidden),
                "attention": list(self.attention), "attention_hidden": list(self.attention_hidden)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> RankingNetwork:
        backbone = keras.saving.deserialize_keras_object(config.pop("backbone"), custom_objects)
        return cls(backbone, **config)


def _sides(pooled: Mapping[str, Any], sides: Sequence[Sequence[str]]) -> list[InputSide]:
    """Concatenate the inputs of each non-empty side; ``columns`` are those of all inputs joined in order of name."""
    columns, start = {}, 0
    for name in sorted(pooled):
        columns[name] = np.arange(start, start + pooled[name].shape[-1])
        start += pooled[name].shape[-1]
    return [InputSide(keras.ops.concatenate([pooled[name] for name in names], axis=-1),
                 np.concatenate([columns[name] for name in names])) for names in sides if names]

