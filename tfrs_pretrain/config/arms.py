"""Ways to train the ranker: transfer and distillation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrs_pretrain.schema import Strict


class DistillationConfig(Strict):
    """Online distillation: a larger teacher learns in the same step as the student it teaches."""

    weight: float = Field(0.3, ge=0, le=1, description="share of the teacher in the student loss")
    temperature: float = Field(1.0, gt=0, description="softens teacher and student logits")
    warmup_steps: int = Field(0, ge=0, description="steps over which weight grows from 0")
    hidden: tuple[int, ...] = Field((256, 128), description="layers of the teacher's network")
    privileged: bool = Field(True, description="let the teacher see features that serving lacks")


class ArmConfig(Strict):
    """One way to train the ranker."""

    transfer: Literal["scratch", "warm_start"] = "scratch"
    pretrained_learning_rate_scale: float = Field(
        0.1, gt=0, description="learning rate of warm-started tables relative to table_learning_rate")
    distillation: DistillationConfig | None = None
