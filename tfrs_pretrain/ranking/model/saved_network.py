"""The file of the dense network."""

from __future__ import annotations

from pathlib import Path

import keras

# Keras rebuilds only classes that are registered, which importing their modules does.
from tfrs_pretrain.ranking.model.backbones.dcn_v2 import DcnV2
from tfrs_pretrain.ranking.model.network import RankingNetwork
from tfrs_pretrain.ranking.model.own_network import OwnNetwork

CLASSES = (DcnV2, OwnNetwork, RankingNetwork)


def load_network(path: Path) -> keras.Model:
    """Load a network that ``network.save`` wrote.

    Raises:
      OSError, ValueError, TypeError: the file cannot be read.
      UserError: it is a network of the user's own, which cannot be created.
    """
    network: keras.Model = keras.saving.load_model(path)
    return network
