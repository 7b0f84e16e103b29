"""Requirements that a candidate must meet before it replaces the live model: the file of ``tfrs-pretrain promote``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from tfrs_pretrain.config.load import read_yaml, validation_message
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER, METRICS
from tfrs_pretrain.schema import LABEL
from tfrs_pretrain.strict_model import StrictModel

# Neither higher nor lower is better: only a band makes sense.
UNDIRECTED = ("calibration",)


class Band(StrictModel):
    """Range that a metric's value must lie in, ends included."""

    min: float | None = Field(None, description="lowest value that passes (null: any)")
    max: float | None = Field(None, description="highest value that passes (null: any)")

    @model_validator(mode="after")
    def _has_an_end(self) -> Band:
        if self.min is None and self.max is None:
            raise ValueError("a threshold needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class Requirements(StrictModel):
    """Requirements on all impressions, or on a slice."""

    min_impressions: int = Field(1, ge=1, description="minimum number; with fewer, the gate refuses")
    thresholds: dict[str, Band] = Field({}, description="metric -> range of the candidate's value")
    non_inferior: dict[str, float] = Field(
        {}, description="metric -> margin, in the metric's unit: the interval of the paired difference to the live "
                        "model must not extend beyond this on the worse side")

    @field_validator("thresholds", "non_inferior")
    @classmethod
    def _metrics_exist(cls, named: dict[str, object]) -> dict[str, object]:
        unknown = [name for name in named if name not in METRICS]
        if unknown:
            raise ValueError(f"unknown metric {unknown[0]!r}, choose from {list(METRICS)}")
        return named

    @field_validator("non_inferior")
    @classmethod
    def _margins_have_a_direction(cls, margins: dict[str, float]) -> dict[str, float]:
        for name, margin in margins.items():
            if name in UNDIRECTED:
                raise ValueError(f"{name} has no better direction: give it a threshold with min and max")
            if not 0 <= margin < float("inf"):
                raise ValueError(f"the margin of {name} must be finite and at least 0, not {margin:g}")
        return margins


class Gate(Requirements):
    """The gate: requirements on all impressions, and on slices."""

    split: Literal["validation", "test"] = Field("test", description="impressions to evaluate")
    label: str = Field(LABEL, description='"label", or a further label whose predictions are evaluated')
    slices: dict[str, Requirements] = Field(
        {}, description="items=new, users=new, item_frequency=1-4, <feature>=<value> -> its requirements")
    confidence: float = Field(0.95, gt=0, lt=1, description="confidence of the two-sided interval")
    replicates: int = Field(1000, ge=100, description="bootstrap draws of users")
    seed: int = Field(17, ge=0, description="seed of the draws")

    @field_validator("slices")
    @classmethod
    def _slices_have_a_value(cls, slices: dict[str, Requirements]) -> dict[str, Requirements]:
        bad = [name for name in slices if not all(name.partition("="))]
        if bad:
            raise ValueError(f"slice {bad[0]!r} must be written as <name>=<value>, such as items=new")
        return slices

    @model_validator(mode="after")
    def _has_requirements(self) -> Gate:
        if not any(part.thresholds or part.non_inferior for part in (self, *self.slices.values())):
            raise ValueError("a gate without thresholds and non_inferior accepts everything: name at least one")
        return self


def load_gate(path: str) -> Gate:
    """Reads a gate file.

    Raises:
      UserError: the file is missing or not YAML, a key is unknown, or a value is out of its range.
    """
    tree = read_yaml(path, what="gate")
    try:
        return Gate.model_validate(tree)
    except ValidationError as error:
        keys = f"the keys are {sorted(Gate.model_fields)}"
        raise UserError(validation_message(f"gate {path!r}", error, keys, tree)) from error


def better(metric: str, difference: float) -> float:
    """Returns the difference with the sign that makes higher better."""
    return -difference if metric in LOWER_IS_BETTER else difference
