"""The ranking network with a multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

from tfrs_pretrain.ranking.model.mlp import Mlp
from tfrs_pretrain.ranking.model.network import RankingNetwork


def mlp_network(*, hidden: Sequence[int], seed: int, dtype: str, heads: int, head_hidden: Sequence[int],
                attention: Sequence[str], attention_hidden: Sequence[int]) -> RankingNetwork:
    """Create the network; arguments as for ``Mlp`` and ``RankingNetwork``."""
    return RankingNetwork(Mlp(hidden, seed, dtype=dtype), seed, heads, head_hidden, attention, attention_hidden,
                          dtype=dtype)
