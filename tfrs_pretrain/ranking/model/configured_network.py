"""The network that the configuration names: a built-in backbone, a packaged one, or the user's own."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import keras

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.config.backbones import BuiltInBackbone, PackagedBackbone, SerializedNetwork
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.own_code import create
from tfrs_pretrain.ranking.model.own_network import OwnNetwork


def make_network(config: RankingConfig, *, hidden: Sequence[int], seed: int, attention: Sequence[str]) -> keras.Model:
    """Create the configured network, not yet built.

    Args:
      config: provides network, heads and precision.
      hidden: units of the hidden layers.
      seed: of the initial weights.
      attention: names of the inputs that are pooled by attention.

    Raises:
      UserError: a network of the user's own cannot be created, or computes in another precision than configured.
    """
    dtype = config.mixed_precision or "float32"
    chosen = config.network or config.backbone
    offered: dict[str, Any] = {
        "heads": 1 + len(config.labels), "hidden": list(hidden), "seed": seed, "dtype": dtype,
        "head_hidden": list(config.head_hidden), "attention": list(attention),
        "attention_hidden": list(config.attention_hidden)}
    if isinstance(chosen, BuiltInBackbone):
        network: keras.Model = create(chosen.path, chosen.settings, offered)
        return network
    source = {"serialized": chosen.content} if isinstance(chosen, SerializedNetwork) else {
        "path": chosen.path, "settings": chosen.settings, "offered": offered}
    with chosen.plug_in.named() if isinstance(chosen, PackagedBackbone) else contextlib.nullcontext():
        own = OwnNetwork(source, seed, dtype=dtype)
    received = own.inner.compute_dtype
    if received != own.compute_dtype:
        raise UserError(f"network {own.title} computes in {received}, ranking.mixed_precision is "
                        f"{config.mixed_precision or 'null'}: accept dtype and pass it to super().__init__, or create "
                        f"the network with dtype={dtype!r}")
    return own
