"""How an ID table of the ranker starts and whether its rows are trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tfrs_pretrain.strict_model import KindModel, short_form, with_default


class ScratchTransfer(KindModel):
    """Random rows that are trained."""

    kind: Literal["scratch"] = Field("scratch", description="which start")


class RandomTransfer(KindModel):
    """Random rows that are never trained."""

    kind: Literal["random"] = Field("random", description="which start")


class AbsentTransfer(KindModel):
    """Rows of zeros that are never trained, as if the ranker did not have these ids."""

    kind: Literal["absent"] = Field("absent", description="which start")


class PretrainedTransfer(KindModel):
    """Settings of every table that starts at pretrained rows."""

    kind: Literal["warm_start", "frozen", "frozen_then_trainable"] = Field(description="which start")
    pretrained_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of a pretrained table's output that each training step hides")
    pretrained_dropout_of: Literal["values", "rows"] = Field(
        "values", description="unit of dropout: single values, or whole rows")
    fresh_dim: int = Field(0, ge=0, description="columns of random, trainable rows beside pretrained ones (0: none)")
    pretrained_rms: float | None = Field(
        None, gt=0, description="root mean square to which the values of pretrained rows are scaled, measured over the "
                                "first training impressions (null: the rows as pretrained)")
    shrinkage: float | None = Field(
        None, gt=0, description="engagements at which an id's row starts halfway between the mean pretrained row and "
                                "its own (null: all rows start as pretrained)")
    cold_rows: Literal["random", "mean", "features"] = Field(
        "random", description="start of ids without pretrained rows: random; the mean pretrained row; or, where "
                              "side features predict the rows of held-out ids better than the mean, the prediction")


class TrainablePretrainedTransfer(PretrainedTransfer):
    """Settings of a table whose pretrained rows are trained."""

    pretrained_learning_rate_scale: float = Field(
        0.1, gt=0, description="learning rate of the pretrained table relative to table_learning_rate")
    evidence: float | None = Field(
        None, ge=0, description="engagements at which the learning rate of an id's row is halfway between "
                                "table_learning_rate and the scaled one (null: all rows have the scaled rate)")


class WarmStartTransfer(TrainablePretrainedTransfer):
    """Pretrained rows that are trained from the first step.

    The defaults were chosen on validation over eight generated logs and two real ones (docs/method.md).
    """

    kind: Literal["warm_start"] = Field("warm_start", description="which start")
    shrinkage: float | None = with_default(PretrainedTransfer, "shrinkage", 3.0)
    pretrained_learning_rate_scale: float = with_default(
        TrainablePretrainedTransfer, "pretrained_learning_rate_scale", 0.3)
    evidence: float | None = with_default(TrainablePretrainedTransfer, "evidence", 10.0)
    cold_rows: Literal["random", "mean", "features"] = with_default(PretrainedTransfer, "cold_rows", "features")


class FrozenTransfer(PretrainedTransfer):
    """Pretrained rows that are never trained."""

    kind: Literal["frozen"] = Field("frozen", description="which start")


class FrozenThenTrainableTransfer(TrainablePretrainedTransfer):
    """Pretrained rows that are trained after some steps."""

    kind: Literal["frozen_then_trainable"] = Field("frozen_then_trainable", description="which start")
    trainable_from_step: int = Field(ge=1, description="steps for which the pretrained rows stay frozen")


Transfer = Annotated[
    ScratchTransfer | RandomTransfer | AbsentTransfer | WarmStartTransfer | FrozenTransfer
    | FrozenThenTrainableTransfer, Field(discriminator="kind"), short_form("scratch")]
