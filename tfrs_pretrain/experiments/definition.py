"""Schema of an experiment file: arms, logs and seeds."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tfrs_pretrain.demo.config import CompleteJourneyConfig
from tfrs_pretrain.experiments.logs.regimes import REGIMES
from tfrs_pretrain.names import FolderName
from tfrs_pretrain.schema import Duration
from tfrs_pretrain.strict_model import StrictModel

Settings = dict[str, Any]


class CompleteJourneyLogs(CompleteJourneyConfig):
    """The completejourney purchases with derived exposures."""

    source: Literal["completejourney"] = Field(description="which logs")


class PlantedLogs(StrictModel):
    """Synthetic logs with known latent factors."""

    source: Literal["planted"] = Field(description="which logs")
    users: int = Field(300, ge=1, description="number of users")
    items: int = Field(400, ge=1, description="number of items")
    engagements: int = Field(20000, ge=1, description="number of engagements")
    impressions: int = Field(8000, ge=1, description="number of impressions")
    drift: float = Field(0.0, ge=0, description="angle in radians by which the taste of users turns each day")
    new_items: float = Field(0.0, ge=0, lt=1, description="share of the items that appear in the course of the days")


class RegimeLogs(StrictModel):
    """Synthetic logs in which one property is unfavorable for pretraining."""

    source: Literal["regime"] = Field(description="which logs")
    regime: str = Field(description=f"the property: {', '.join(REGIMES)}")
    scale: float = Field(1.0, gt=0, description="number of users, items and rows, relative to the regime's")

    @field_validator("regime")
    @classmethod
    def _exists(cls, regime: str) -> str:
        if regime not in REGIMES:
            raise ValueError(f"regime {regime!r} is unknown: name one of {list(REGIMES)}")
        return regime


class ProvidedLogs(StrictModel):
    """The folder of ``--data``: files of KuaiRand-Pure or Gowalla, raw logs for Beam, or a finished dataset."""

    source: Literal["kuairand", "gowalla", "raw", "dataset"] = Field(description="content of the folder")
    continued: bool = Field(False, description="kuairand: the long watches of the impressions are engagements too, for "
                                               "a stream, and the column day numbers the days from 1 April 2022")

    @model_validator(mode="after")
    def _continued_is_of_kuairand(self) -> ProvidedLogs:
        if self.continued and self.source != "kuairand":
            raise ValueError(f"continued is for logs of source kuairand, not {self.source}: remove it")
        return self


Logs = Annotated[CompleteJourneyLogs | PlantedLogs | RegimeLogs | ProvidedLogs, Field(discriminator="source")]


class BestOf(StrictModel):
    """Baseline: the arm with the lowest validation log loss, averaged over seeds."""

    best_of: list[str] = Field(min_length=1, description="arms to choose from")


class ArmDefinition(StrictModel):
    """One way to train, or one for each value of ``each``. Keys are dotted; keys below ``arm.`` belong to the arm."""

    set: Settings = Field({}, description="key -> value")
    each: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        {}, description="key -> values: one arm for each combination, with the values appended to its name")
    choose: dict[str, Annotated[list[Any], Field(min_length=1)]] | list[Settings] = Field(
        {}, description="key -> values, whose combinations are the candidates; or a list of candidates")
    teacher: str | None = Field(None, description="arm whose ranker of the same seed teaches this one (null: none)")


class Goal(StrictModel):
    """What one arm must reach on every log."""

    arm: str = Field(description="arm that must not lose to the baseline")
    best: str = Field(description="arm whose gain over the baseline it must mostly reach, with settings chosen per log")
    share: float = Field(0.8, ge=0, le=1, description="least share of that gain")


class Stream(StrictModel):
    """Consecutive windows: each ranker is trained on one and judged on the next one, before it sees it."""

    start: int | datetime.datetime | datetime.date = Field(description="first value of the first window")
    length: Annotated[int, Field(ge=1)] | Duration = Field(
        description="of each window: a number for an integer window column, a time such as 7d or 12h for dates")
    windows: int = Field(ge=3, description="number of windows; the logs continue for one more length after the last")
    choosing: int | None = Field(
        None, ge=1, description="number of judged windows on which settings are chosen (null: a quarter of them)")

    @property
    def judged(self) -> int:
        """Number of judged windows: all but the first."""
        return self.windows - 1

    @property
    def num_choosing(self) -> int:
        """Number of judged windows on which settings are chosen, the first ones."""
        return self.choosing or max(1, self.judged // 4)

    @model_validator(mode="after")
    def _parts_fit(self) -> Stream:
        if isinstance(self.start, int) != isinstance(self.length, int):
            raise ValueError(f"start {self.start!r} and length {self.length!r} do not fit: use two integers, or a date "
                             "and a time such as 7d")
        if self.num_choosing >= self.judged:
            raise ValueError(f"choosing {self.choosing} leaves none of the {self.judged} judged windows for the result")
        return self


class Experiment(StrictModel):
    """An experiment on one log."""

    title: str = Field(description="title of the report")
    config: str | None = Field(None, description="configuration of all arms: a bundled name, or a file relative "
                                                 "to this one (null: the configuration of the dataset)")
    logs: Logs = Field(description="source of the logs; or name -> source, where each entry may also have its own "
                                   "config and set, and is an experiment of its own")
    set: Settings = Field({}, description="key -> value, applied to all arms")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        [17, 18, 19], min_length=1, description="seeds of Stages I and II; each arm is trained with each. One or two "
                                                "seeds show hardly any difference; use five to compare many arms")
    baseline: str | BestOf = Field(description="arm that the others are compared with")
    arms: dict[FolderName, ArmDefinition] = Field(
        min_length=1, description="name -> definition of the arm")
    stream: Stream | None = Field(None, description="windows over which each arm is carried (null: one window)")
    goal: Goal | None = Field(None, description="with several logs, what one arm must reach on each (null: nothing)")

    @field_validator("arms", mode="before")
    @classmethod
    def _accept_empty_definitions(cls, arms: Any) -> Any:
        return {name: arm or {} for name, arm in arms.items()} if isinstance(arms, dict) else arms

    @model_validator(mode="after")
    def _parts_fit(self) -> Experiment:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {self.seeds} repeat: list each seed once")
        if self.config is None and self.logs.source != "dataset":
            raise ValueError("config is missing: only logs of source dataset have a configuration of their own")
        if self.stream and (self.logs.source == "dataset" or self.goal):
            raise ValueError("a stream builds a dataset for each window and has no goal: provide the logs instead "
                             "(logs: {source: raw}), and remove goal")
        return self
