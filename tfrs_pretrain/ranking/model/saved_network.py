"""The file of the dense network."""

from __future__ import annotations

from pathlib import Path

import keras

from tfrs_pretrain.config.backbones import BUILT_IN
from tfrs_pretrain.own_code import load_path
from tfrs_pretrain.ranking.model.own_network import OwnNetwork


def load_network(path: Path) -> keras.Model:
    """Load a network that ``network.save`` wrote.

    Raises:
      OSError, ValueError, TypeError: the file cannot be read.
      UserError: it is a network of the user's own, which cannot be created.
    """
    for backbone in BUILT_IN:
        load_path(backbone.path)  # Keras rebuilds only registered classes, which importing their modules registers
    network: keras.Model = keras.saving.load_model(path, custom_objects={"OwnNetwork": OwnNetwork})
    return network
