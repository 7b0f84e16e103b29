"""Schema of an experiment file: arms, logs and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from tfrs_pretrain.config.load import read_yaml, validation_message
from tfrs_pretrain.config.migration import migrate_experiment, notices
from tfrs_pretrain.demo.config import CompleteJourneyConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.names import FolderName
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


class ProvidedLogs(StrictModel):
    """The folder of ``--data``: KuaiRand-Pure's files, raw logs for the Beam jobs, or a finished dataset."""

    source: Literal["kuairand", "raw", "dataset"] = Field(description="content of the folder")


Logs = Annotated[CompleteJourneyLogs | PlantedLogs | ProvidedLogs, Field(discriminator="source")]


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


class Experiment(StrictModel):
    """An experiment file."""

    title: str = Field(description="title of the report")
    config: str | None = Field(None, description="configuration of all arms: a bundled name, or a file relative "
                                                 "to this one (null: the configuration of the dataset)")
    logs: Logs = Field(description="source of the logs")
    set: Settings = Field({}, description="key -> value, applied to all arms")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        [17, 18, 19], min_length=1, description="seeds of Stages I and II; each arm is trained with each. One or two "
                                                "seeds show hardly any difference; use five to compare many arms")
    baseline: str | BestOf = Field(description="arm that the others are compared with")
    arms: dict[FolderName, ArmDefinition] = Field(
        min_length=1, description="name -> definition of the arm")

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
        return self


def load_experiment(path: Path) -> Experiment:
    """Read and validate an experiment file.

    Raises:
      UserError: the file is missing or not YAML, a key is unknown, or a value is out of range.
    """
    tree, changes = migrate_experiment(read_yaml(str(path), "experiment"))
    notices.show(f"experiment {str(path)!r}", changes)
    try:
        return Experiment.model_validate(tree)
    except ValidationError as error:
        shown = "experiments/completejourney.yaml shows them"
        raise UserError(validation_message(f"experiment {str(path)!r}", error, shown, tree)) from error
