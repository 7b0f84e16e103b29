"""Ways to train the ranker: transfer, distillation, and the one-epoch remedies that they are compared with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tfrs_pretrain.config.distillation import DistillationConfig
from tfrs_pretrain.config.transfer import PretrainedTransfer, ScratchTransfer, Transfer
from tfrs_pretrain.strict_model import KindModel, StrictModel, short_form

ID_TABLES = ("user", "item")
FIXED_STARTS = frozenset({"frozen", "frozen_then_trainable", "random", "absent"})


class AnchorConfig(StrictModel):
    """A penalty that keeps fine-tuned rows near the pretrained ones that they started at."""

    weight: float = Field(ge=0, description="of half the squared distance, averaged over the impressions of a step")


class NonContinualMeda(KindModel):
    """New tables in every epoch (arXiv 2305.19531)."""

    kind: Literal["non_continual"] = Field("non_continual", description="which variant")


class ContinualMeda(KindModel):
    """One group of tables for each epoch, kept while the data arrives in chunks (arXiv 2407.01607)."""

    kind: Literal["continual"] = Field("continual", description="which variant")
    chunks: int = Field(ge=2, description="parts of the training data, in order of arrival")


Meda = Annotated[NonContinualMeda | ContinualMeda, Field(discriminator="kind"), short_form("non_continual")]


class EarlyStoppingConfig(StrictModel):
    """Stops when validation no longer improves, and restores the best epoch."""

    metric: Literal["log_loss", "auc", "gauc"] = Field("log_loss", description="metric of the validation impressions")
    patience: int = Field(1, ge=1, description="epochs without improvement that end the training")


class Overrides(StrictModel):
    """Training settings of one arm (null: those of ``ranking``)."""

    epochs: int | None = Field(None, ge=1, description="passes over the training impressions")
    learning_rate: float | None = Field(None, gt=0, description="of the dense layers")
    table_learning_rate: float | None = Field(None, gt=0, description="of the embedding tables")
    schedule: Literal["constant", "linear", "cosine"] | None = Field(None, description="of all learning rates")
    warmup_steps: int | None = Field(None, ge=0, description="steps over which the learning rates first grow")
    embedding_l2: float | None = Field(None, ge=0, description="L2 penalty on the table rows of a batch")
    interval_decay: float | None = Field(None, ge=0, lt=1, description="decay of a row for each step it was absent")
    frequency_adaptive_rate: bool | None = Field(None, description="lower learning rates for rarer rows")


class ArmConfig(Overrides):
    """One way to train the ranker."""

    transfer: Transfer = Field(ScratchTransfer(), description="start of the ID tables that ``tables`` does not name")
    tables: dict[Literal["user", "item"], Transfer] = Field({}, description="ID table -> its own start")
    anchor: AnchorConfig | None = Field(None, description="keep rows near the pretrained ones (null: no penalty)")
    distillation: DistillationConfig | None = Field(None, description="learn from a teacher too (null: labels alone)")
    meda: Meda | None = Field(None, description="multi-epoch training in embedding spaces that have not seen the data "
                                                "(null: the same tables in every epoch)")
    early_stopping: EarlyStoppingConfig | None = Field(None, description="stop at the best epoch (null: run them all)")

    def table_transfer(self, table: str) -> Transfer:
        """Start of one ID table."""
        return next((transfer for name, transfer in self.tables.items() if name == table), self.transfer)

    @property
    def pretrained_tables(self) -> dict[str, PretrainedTransfer]:
        """ID table -> its settings, for the tables that start at pretrained rows."""
        transfers = {table: self.table_transfer(table) for table in ID_TABLES}
        return {table: transfer for table, transfer in transfers.items() if isinstance(transfer, PretrainedTransfer)}

    @model_validator(mode="after")
    def _parts_fit(self) -> ArmConfig:
        kinds = {table: self.table_transfer(table).kind for table in ID_TABLES}
        if self.anchor and {kinds[table] for table in self.pretrained_tables} <= {"frozen"}:
            raise ValueError("anchor needs pretrained rows that are trained, and no table of this arm has any: drop "
                             "it, or warm-start a table")
        if self.meda and FIXED_STARTS & set(kinds.values()):
            raise ValueError("meda gives tables new rows in every epoch, which a frozen table cannot have: drop "
                             "meda, or transfer by warm_start")
        return self
