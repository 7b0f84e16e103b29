"""The dense part of the ranker: pooling, backbone and heads over rows that were gathered outside of it.

Keras holds no embedding table: its embedding layer and optimizers cost time in the size of the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.ranking.model.backbones import make_backbone
from tfrs_pretrain.ranking.model.backbones.mlp import Mlp
from tfrs_pretrain.ranking.model.backbones.sides import Side
from tfrs_pretrain.ranking.model.pooling import TargetAttention, mean_of_present, mean_pooling
from tfrs_pretrain.schema import ITEM_ROW

# Apart from the seeds of the backbone's layers, and of each other.
ATTENTION_SEEDS, HEAD_SEEDS = 2000, 100


@keras.saving.register_keras_serializable("tfrs_pretrain")
class RankingNetwork(keras.Model):
    """Pools and joins named inputs, and maps them to one logit a head.

    Args:
      backbone: Keras layer from joined inputs [batch, width] to features [batch, units], see ``backbones``.
      seed: of the initial weights; the same seed and shapes give the same weights.
      heads: logits an impression, one a label.
      head_hidden: units of the hidden layers (ReLU) that each head has of its own.
      attention: inputs pooled by target attention; other inputs of several rows are pooled by their mean.
      attention_hidden: units of the attention's hidden layers.
    """

    def __init__(self, backbone: keras.layers.Layer, seed: int, heads: int = 1, head_hidden: Sequence[int] = (),
                 attention: Sequence[str] = (), attention_hidden: Sequence[int] = (), **kwargs: Any):
        super().__init__(**kwargs)
        self.backbone, self.seed, self.head_hidden = backbone, seed, tuple(head_hidden)
        self.attention = {
            name: TargetAttention(attention_hidden, seed + ATTENTION_SEEDS * (1 + place), dtype=self.dtype_policy)
            for place, name in enumerate(attention)}
        self.attention_hidden = tuple(attention_hidden)
        seeds = [seed + len(backbone.hidden) + HEAD_SEEDS * place for place in range(heads)]
        self.towers = [Mlp(head_hidden, head + 1, dtype=self.dtype_policy) for head in seeds]
        # Whatever the precision of the rest: probabilities near 0 and 1 need float32.
        self.heads = [keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(head), dtype="float32")
                      for head in seeds]

    def build(self, input_shape: dict[str, tuple[int | None, ...]]) -> None:
        """Builds every layer from the shape of each input: ``{name: (None, width) or (None, length, width)}``."""
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

    def call(self, inputs: dict[str, Any], masks: Mapping[str, Any] | None = None, training: bool = False,
             sides: Sequence[Sequence[str]] | None = None, owners: Mapping[str, Any] | None = None) -> Any:
        """float32 [batch, heads] logits; inputs are joined in order of name.

        Args:
          inputs: name -> [batch, width] or [batch, length, width], or [n, width] where it has owners.
          masks: name of each input of several rows -> bool [batch, length], false where padded.
          training: passed to the backbone's layers by Keras.
          sides: names of inputs that have, once pooled, equally many rows: 1 or the batch's, the last the batch's; what
            one row decides is computed once (None: all have the batch's).
          owners: names of inputs of several rows that come without padding -> int [n], ascending: the impression that
            each row belongs to.
        """
        del training  # Keras hands it on
        pooled = dict(inputs)
        pooled |= {name: self._pooled(name, inputs, mask) for name, mask in (masks or {}).items()}
        pooled |= {name: self._pooled_present(name, inputs, places) for name, places in (owners or {}).items()}
        if sides is None:
            features = self.backbone(keras.ops.concatenate([pooled[name] for name in sorted(pooled)], axis=-1))
        else:
            features = self.backbone.call_sides(_sides(pooled, sides))
        logits = [head(tower(features)) for tower, head in zip(self.towers, self.heads, strict=True)]
        return keras.ops.concatenate(logits, axis=-1)

    def _pooled(self, name: str, inputs: Mapping[str, Any], mask: Any) -> Any:
        rows = keras.ops.where(keras.ops.expand_dims(mask, 2), inputs[name], 0)  # [batch, length, width]
        if name in self.attention:
            return self.attention[name](rows, inputs[ITEM_ROW], mask)
        return mean_pooling(rows, mask)

    def _pooled_present(self, name: str, inputs: Mapping[str, Any], owners: Any) -> Any:
        if name in self.attention:
            return self.attention[name](inputs[name], inputs[ITEM_ROW], owners=owners)
        return mean_of_present(inputs[name], owners, keras.ops.shape(inputs[ITEM_ROW])[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "backbone": keras.saving.serialize_keras_object(self.backbone),
                "seed": self.seed, "heads": len(self.heads), "head_hidden": list(self.head_hidden),
                "attention": list(self.attention), "attention_hidden": list(self.attention_hidden)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> RankingNetwork:
        backbone = keras.saving.deserialize_keras_object(config.pop("backbone"), custom_objects)
        return cls(backbone, **config)


def _sides(pooled: Mapping[str, Any], sides: Sequence[Sequence[str]]) -> list[Side]:
    """The sides that have inputs, with the places of their columns when all are joined in order of name."""
    places, start = {}, 0
    for name in sorted(pooled):
        places[name] = np.arange(start, start + pooled[name].shape[-1])
        start += pooled[name].shape[-1]
    return [Side(keras.ops.concatenate([pooled[name] for name in names], axis=-1),
                 np.concatenate([places[name] for name in names])) for names in sides if names]


def make_network(config: RankingConfig, *, hidden: Sequence[int], seed: int, attention: Sequence[str]
                 ) -> RankingNetwork:
    """The network that the configuration describes, not yet built.

    Args:
      config: backbone, heads and precision.
      hidden: units of the backbone's hidden layers.
      seed: of the initial weights.
      attention: inputs that are pooled by attention.
    """
    dtype = config.mixed_precision or "float32"
    return RankingNetwork(make_backbone(config.backbone, hidden, seed, dtype), seed, 1 + len(config.labels),
                          config.head_hidden, attention, config.attention_hidden, dtype=dtype)
