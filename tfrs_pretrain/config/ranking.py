"""Stage II: the ranking model and the arms that are compared."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tfrs_pretrain.config.arms import ArmConfig
from tfrs_pretrain.schema import Strict


class MlpBackbone(Strict):
    """A multilayer perceptron of ``hidden`` layers."""

    kind: Literal["mlp"] = "mlp"


class DcnV2Backbone(Strict):
    """Deep & Cross Network V2 (arXiv 2008.13535): cross layers and an MLP of ``hidden`` layers."""

    kind: Literal["dcn_v2"]
    cross_layers: int = Field(2, ge=1)
    rank: int | None = Field(None, ge=1, description="of each cross layer's matrix (null: full)")
    structure: Literal["parallel", "stacked"] = Field("parallel", description="MLP beside or on the cross layers")


Backbone = Annotated[MlpBackbone | DcnV2Backbone, Field(discriminator="kind")]


class RankingConfig(Strict):
    """Stage II: the ranking model and the arms that are compared."""

    hidden: tuple[int, ...] = Field((128, 64), description="layers of the served network")
    backbone: Backbone = Field(MlpBackbone(), description="what ``hidden`` layers are part of")
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
    head_hidden: tuple[int, ...] = Field((), description="layers that each head has of its own")
    history: Literal["none", "mean", "attention"] = Field(
        "mean", description="pooling of schema.history; attention to the candidate item as in DIN")
    attention_hidden: tuple[int, ...] = Field((32,), min_length=1, description="layers of the attention's network")
    mixed_precision: Literal["mixed_float16", "mixed_bfloat16"] | None = Field(
        None, description="dtype policy of the dense network (null: float32); tables and logits stay float32")
    jit_compile: bool = Field(False, description="compile the dense network's training with XLA")
    arms: dict[str, ArmConfig]

    @field_validator("labels")
    @classmethod
    def _weights_are_positive(cls, labels: dict[str, float]) -> dict[str, float]:
        bad = {name: weight for name, weight in labels.items() if not 0 < weight < float("inf")}
        if bad:
            raise ValueError(f"weights of labels must be finite and above 0; leave out what is not to be learnt: {bad}")
        # The order of the heads must not depend on the order in a file, which JSON does not keep.
        return dict(sorted(labels.items()))
