"""Stage II: the ranking model and the arms that are compared."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrs_pretrain.config.arms import ArmConfig
from tfrs_pretrain.schema import Strict


class RankingConfig(Strict):
    """Stage II: the ranking model and the arms that are compared."""

    hidden: tuple[int, ...] = Field((128, 64), description="layers of the served network")
    feature_dim: int = Field(16, ge=1, description="columns of a categorical feature's table")
    id_dim: int = Field(64, ge=1, description="columns of the ID tables; a warm start needs the pretraining's")
    epochs: int = Field(1, ge=1)
    batch_size: int = Field(1024, ge=1, description="impressions per step over all replicas")
    learning_rate: float = Field(3e-3, gt=0, description="of the dense layers (Adam)")
    table_learning_rate: float = Field(5e-3, gt=0, description="of the embedding tables")
    table_optimizer: Literal["lazy_adam", "rowwise_adagrad", "adagrad"] = "lazy_adam"
    initial_scale: float = Field(0.05, gt=0, description="standard deviation of rows that start at random")
    similarity: Literal["none", "dot", "cosine"] = Field(
        "cosine", description="similarity of the user and item rows, given to the network beside the rows")
    arms: dict[str, ArmConfig]
