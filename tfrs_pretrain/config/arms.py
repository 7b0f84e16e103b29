"""Ways to train the ranker: transfer, distillation, and the one-epoch remedies that they are compared with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfrs_pretrain.config.backbones import Backbone
from tfrs_pretrain.schema import Strict


class TransferConfig(Strict):
    """Where an ID table starts, and whether it learns."""

    transfer: Literal["scratch", "warm_start", "frozen", "frozen_then_trainable", "random", "absent"] = Field(
        "scratch", description="scratch: random rows that learn; random: that never move; absent: rows of zeros, as if "
                               "the ranker did not have these ids; the others start at the pretrained rows")
    pretrained_learning_rate_scale: float = Field(
        0.1, gt=0, description="learning rate of pretrained tables relative to table_learning_rate")
    trainable_from_step: int | None = Field(
        None, ge=1, description="frozen_then_trainable: steps for which the pretrained rows stand still")
    pretrained_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of a pretrained table's output that each training step hides")
    pretrained_dropout_of: Literal["values", "rows"] = Field(
        "values", description="what dropout hides: single values, or whole rows")
    fresh_dim: int = Field(0, ge=0, description="columns of random, trainable rows beside pretrained ones (0: none)")

    @model_validator(mode="after")
    def _settings_fit_the_transfer(self) -> TransferConfig:
        if (self.transfer == "frozen_then_trainable") != (self.trainable_from_step is not None):
            raise ValueError(f"transfer {self.transfer!r} does not go with trainable_from_step "
                             f"{self.trainable_from_step}: frozen_then_trainable needs a step, the others take none")
        if not self.pretrained and (self.pretrained_dropout or self.fresh_dim):
            raise ValueError(f"transfer {self.transfer!r} has no pretrained rows for pretrained_dropout or fresh_dim: "
                             "name another transfer, or drop these keys")
        return self

    @property
    def pretrained(self) -> bool:
        """Whether the table starts at pretrained rows."""
        return self.transfer not in ("scratch", "random", "absent")


class DistillationConfig(Strict):
    """A teacher whose scores the student learns beside the labels."""

    teacher: str | None = Field(
        None, description="fixed teacher: folder of a SavedModel or of a trained ranker, or a Parquet file of stored "
                          "logits or scores by key (null: a larger model that learns in the same step)")
    weight: float = Field(0.3, ge=0, le=1, description="share of the teacher in the student loss")
    temperature: float = Field(1.0, gt=0, description="softens teacher and student logits")
    warmup_steps: int = Field(0, ge=0, description="steps over which weight grows from 0")
    hidden: tuple[int, ...] = Field((256, 128), description="layers of the network of a teacher that learns")
    backbone: Backbone | None = Field(None, description="of a teacher that learns (null: ranking.backbone)")
    privileged: bool = Field(True, description="let a teacher that learns see features that serving lacks")


class AnchorConfig(Strict):
    """Holds fine-tuned rows near the pretrained ones that they started at."""

    weight: float = Field(ge=0, description="of half the squared distance, averaged over the impressions of a step")


class MedaConfig(Strict):
    """Multi-epoch training in embedding spaces that have not seen the data."""

    variant: Literal["non_continual", "continual"] = Field(
        "non_continual", description="new tables in every epoch (arXiv 2305.19531), or one group of tables for each "
                                     "epoch, kept while the data arrives in chunks (arXiv 2407.01607)")
    chunks: int | None = Field(None, ge=2, description="continual: parts of the training data, in order of arrival")

    @model_validator(mode="after")
    def _chunks_fit_the_variant(self) -> MedaConfig:
        if (self.variant == "continual") != (self.chunks is not None):
            raise ValueError(f"variant {self.variant!r} does not go with chunks {self.chunks}: continual needs a "
                             "number, non_continual takes none")
        return self


class EarlyStoppingConfig(Strict):
    """Stops when validation no longer gets better, and goes back to the best epoch."""

    metric: Literal["log_loss", "auc", "gauc"] = Field("log_loss", description="of the validation impressions")
    patience: int = Field(1, ge=1, description="epochs without a new best that end the training")


class Overrides(Strict):
    """Training settings that an arm has for itself (null: those of ``ranking``)."""

    epochs: int | None = Field(None, ge=1, description="passes over the training impressions")
    learning_rate: float | None = Field(None, gt=0, description="of the dense layers")
    table_learning_rate: float | None = Field(None, gt=0, description="of the embedding tables")
    schedule: Literal["constant", "linear", "cosine"] | None = Field(None, description="of all learning rates")
    warmup_steps: int | None = Field(None, ge=0, description="steps over which the learning rates first grow")
    embedding_l2: float | None = Field(None, ge=0, description="L2 penalty on the table rows of a batch")
    interval_decay: float | None = Field(None, ge=0, lt=1, description="decay of a row for each step it was absent")


class ArmConfig(TransferConfig, Overrides):
    """One way to train the ranker; its transfer settings hold for each ID table that ``tables`` does not name."""

    tables: dict[Literal["user", "item"], TransferConfig] = Field({}, description="ID tables that differ")
    anchor: AnchorConfig | None = Field(None, description="hold rows near the pretrained ones (null: let them go)")
    distillation: DistillationConfig | None = Field(None, description="learn from a teacher too (null: labels alone)")
    meda: MedaConfig | None = Field(None, description="new embedding spaces for further epochs (null: the same ones)")
    early_stopping: EarlyStoppingConfig | None = Field(None, description="stop at the best epoch (null: run them all)")

    def transfer_of(self, space: str) -> TransferConfig:
        """The settings of one ID table."""
        return next((table for name, table in self.tables.items() if name == space), self)

    @property
    def transfers(self) -> dict[str, TransferConfig]:
        """ID table -> its settings, for the tables that start at pretrained rows."""
        tables = {space: self.transfer_of(space) for space in ("user", "item")}
        return {space: table for space, table in tables.items() if table.pretrained}

    @model_validator(mode="after")
    def _parts_fit(self) -> ArmConfig:
        pretrained = [table.transfer for table in self.transfers.values()]
        if self.anchor and set(pretrained) <= {"frozen"}:
            raise ValueError("anchor holds pretrained rows that learn, and no table of this arm has any: drop it, or "
                             "warm-start a table")
        still = {self.transfer_of(space).transfer for space in ("user", "item")} & {
            "frozen", "frozen_then_trainable", "random", "absent"}
        if self.meda and still:
            raise ValueError("meda gives tables new rows in every epoch, which a frozen table does not take: drop "
                             "meda, or transfer by warm_start")
        return self
