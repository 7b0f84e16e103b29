"""Stage II: the ranking model and the arms that are compared."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

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
    labels: dict[str, float] = Field(
        {}, description="further labels of the schema to predict -> weight of their loss; schema.label weighs 1")
    arms: dict[str, ArmConfig]

    @field_validator("labels")
    @classmethod
    def _weights_are_positive(cls, labels: dict[str, float]) -> dict[str, float]:
        bad = {name: weight for name, weight in labels.items() if not 0 < weight < float("inf")}
        if bad:
            raise ValueError(f"weights of labels must be finite and above 0; leave out what is not to be learnt: {bad}")
        # The order of the heads must not depend on the order in a file, which JSON does not keep.
        return dict(sorted(labels.items()))
