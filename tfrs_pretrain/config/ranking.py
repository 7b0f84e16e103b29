"""Configuration of Stage II: the ranking model and its arms."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tfrs_pretrain.config.arms import ArmConfig, Overrides
from tfrs_pretrain.config.backbones import Backbone, BuiltInBackbone, MlpBackbone, Network
from tfrs_pretrain.names import FolderName, repeated
from tfrs_pretrain.strict_model import StrictModel


class RankingConfig(StrictModel):
    """Stage II: the ranking model and the arms that are compared."""

    hidden: tuple[int, ...] = Field((128, 64), description="layers of the served network")
    backbone: Backbone = Field(MlpBackbone(), description="network that contains the ``hidden`` layers")
    network: Network | None = Field(None, description="network of your own in the place of ``backbone``")
    feature_dim: int = Field(16, ge=1, description="columns of a categorical feature's table")
    id_dim: int = Field(64, ge=1, description="columns of the ID tables; pretrained rows need pretraining.dim")
    epochs: int = Field(1, ge=1, description="passes over the training impressions")
    batch_size: int = Field(1024, ge=1, description="impressions per step over all replicas")
    learning_rate: float = Field(3e-3, gt=0, description="of the dense layers (Adam)")
    table_learning_rate: float = Field(5e-3, gt=0, description="of the embedding tables")
    table_optimizer: Literal["lazy_adam", "rowwise_adagrad", "adagrad"] = Field(
        "lazy_adam", description="of the embedding tables; each touches only the rows of a batch")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="of all learning rates: linear and cosine fall to 0")
    warmup_steps: int = Field(0, ge=0, description="steps over which the learning rates first grow")
    embedding_l2: float = Field(0.0, ge=0, description="L2 penalty on the table rows of a batch")
    interval_decay: float = Field(
        0.0, ge=0, lt=1, description="decay of a row for each step that it was absent (AdamAR, arXiv 2511.06374)")
    frequency_adaptive_rate: bool = Field(
        False, description="lower learning rates for rows that the training impressions contain less often (FALR, "
                           "arXiv 2505.05605)")
    initial_scale: float = Field(0.05, gt=0, description="standard deviation of random initial rows")
    similarity: tuple[Literal["dot", "cosine", "norms"], ...] = Field(
        ("cosine",), description="of the user and item rows, an input of the network beside the rows")
    labels: dict[str, float] = Field(
        {}, description="further labels of the schema to predict -> weight of their loss; schema.label weighs 1")
    head_hidden: tuple[int, ...] = Field((), description="layers of each head")
    history: Literal["none", "mean", "attention"] = Field(
        "mean", description="pooling of schema.history; attention to the candidate item as in DIN")
    attention_hidden: tuple[int, ...] = Field((32,), min_length=1, description="layers of the attention's network")
    mixed_precision: Literal["mixed_float16", "mixed_bfloat16"] | None = Field(
        None, description="dtype policy of the dense network (null: float32); tables and logits stay float32")
    evals_per_epoch: int = Field(
        0, ge=0, description="evaluations on a sample of the validation impressions within an epoch (0: none)")
    jit_compile: bool = Field(False, description="compile the dense network's training with XLA")
    arms: dict[FolderName, ArmConfig] = Field(description="name -> a way to train the ranker")

    @field_validator("labels")
    @classmethod
    def _weights_are_positive(cls, labels: dict[str, float]) -> dict[str, float]:
        bad = {name: weight for name, weight in labels.items() if not 0 < weight < float("inf")}
        if bad:
            raise ValueError(f"weights of labels must be finite and above 0; leave out the others: {bad}")
        # The order of the heads must not depend on the order in a file: JSON does not keep it.
        return dict(sorted(labels.items()))

    @field_validator("arms")
    @classmethod
    def _arms_have_folders_of_their_own(cls, arms: dict[str, ArmConfig]) -> dict[str, ArmConfig]:
        if twice := repeated(arms):
            raise ValueError(f"names of arms must differ in more than case; repeated: {twice}")
        return arms

    @field_validator("similarity", mode="before")
    @classmethod
    def _accepts_one_name(cls, similarity: Any) -> Any:
        return ([] if similarity == "none" else [similarity]) if isinstance(similarity, str) else similarity

    @model_validator(mode="after")
    def _has_one_network(self) -> RankingConfig:
        if self.network and self.backbone != MlpBackbone():
            raise ValueError(f"network takes the place of backbone {self.backbone.kind!r}: remove one of them")
        return self

    @model_validator(mode="after")
    def _remedies_need_epochs(self) -> RankingConfig:
        for name, arm in self.arms.items():
            if (arm.meda or arm.early_stopping) and self.for_arm(arm).epochs == 1:
                raise ValueError(f"arms.{name} has {'meda' if arm.meda else 'early_stopping'}, which makes no "
                                 "difference in one epoch: give it epochs")
        return self

    @property
    def has_own_network(self) -> bool:
        """Whether the network is not one of this package."""
        return self.network is not None or not isinstance(self.backbone, BuiltInBackbone)

    def for_arm(self, arm: ArmConfig) -> RankingConfig:
        """Returns these settings with those of the arm in their place."""
        own = {name: value for name in Overrides.model_fields if (value := getattr(arm, name)) is not None}
        return self.model_copy(update=own)
