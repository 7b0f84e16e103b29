"""Bodies of the ranking network: one file each, from the joined inputs [batch, width] to features [batch, units].

Each has ``call_sides`` too, which gives the same of inputs in which the user's have one row, see ``sides``. A further
one is a file here, its settings in ``config.backbones`` and a line in ``BACKBONES``.
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
    """The Keras layer that the configuration names.

    Args:
      settings: its kind and what that kind needs.
      hidden: units of its hidden layers.
      seed: of its initial weights.
      dtype: Keras's name of a dtype policy.
    """
    options = settings.model_dump(exclude={"kind"})
    return BACKBONES[settings.kind](hidden=hidden, seed=seed, dtype=dtype, **options)
