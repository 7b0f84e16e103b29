"""Teachers whose scores the ranker learns beside the labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tfrs_pretrain.config.backbones import Backbone, Network
from tfrs_pretrain.strict_model import KindModel, StrictModel, short_form


class OnlineTeacher(KindModel):
    """A larger ranker that is trained in the same steps as its student."""

    kind: Literal["online"] = Field("online", description="which teacher")
    hidden: tuple[int, ...] = Field((256, 128), description="layers of the teacher's network")
    backbone: Backbone | None = Field(None, description="backbone of the teacher (null: ranking.backbone)")
    network: Network | None = Field(None, description="network of your own for the teacher (null: ranking.network, or "
                                                      "``backbone``)")
    privileged: bool = Field(True, description="let the teacher use features that are not known when serving")


class FixedTeacherConfig(KindModel):
    """A trained model, or its stored scores."""

    kind: Literal["fixed"] = Field("fixed", description="which teacher")
    path: str = Field(description="folder of a SavedModel or of a trained ranker, or a Parquet file of stored logits "
                                  "or scores by key")


Teacher = Annotated[OnlineTeacher | FixedTeacherConfig, Field(discriminator="kind"), short_form("online")]


class DistillationConfig(StrictModel):
    """A teacher whose scores the student learns beside the labels."""

    teacher: Teacher = Field(OnlineTeacher(), description="source of the scores")
    weight: float = Field(0.3, ge=0, le=1, description="share of the teacher in the student loss")
    temperature: float = Field(1.0, gt=0, description="softens teacher and student logits")
    warmup_steps: int = Field(0, ge=0, description="steps over which weight grows from 0")
