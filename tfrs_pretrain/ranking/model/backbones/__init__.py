"""Backbones of the ranking network: Keras layers from joined inputs [batch, width] to features [batch, units].

Each also has ``call_sides``, which computes the same for inputs in which the user side has a single row, see
``input_sides``. To add a backbone, add a file here with its class, its settings to ``config.backbones``, and an entry
to ``BACKBONES``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfrs_pretrain.config import Backbone
from tfrs_pretrain.ranking.model.backbones.dcn_v2 import DcnV2
from tfrs_pretrain.ranking.model.backbones.mlp import Mlp

BACKBONES: dict[str, type[keras.layers.Layer]] = {"mlp": Mlp, "dcn_v2": DcnV2}


def make_backbone(settings: Backbone, hidden: Sequence[int], seed: int, dtype: str = "float32") -> Any:
    """Create the configured backbone.

    Args:
      settings: its kind and the options of that kind.
      hidden: units of its hidden layers.
      seed: of its initial weights.
      dtype: name of a Keras dtype policy.
    """
    options = settings.model_dump(exclude={"kind"})
    return BACKBONES[settings.kind](hidden=hidden, seed=seed, dtype=dtype, **options)
