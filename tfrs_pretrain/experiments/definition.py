"""An experiment's file: what is compared, on which logs, with which seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from tfrs_pretrain.config.load import one_line, read_yaml
from tfrs_pretrain.demo.config import CompleteJourneyConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.strict_model import StrictModel

NAME = r"^[A-Za-z0-9_.-]+$"
Settings = dict[str, Any]


class CompleteJourneyLogs(CompleteJourneyConfig):
    """The bundled purchases, with derived exposures."""

    source: Literal["completejourney"] = Field(description="which logs")


class PlantedLogs(StrictModel):
    """Synthetic logs of known factors."""

    source: Literal["planted"] = Field(description="which logs")
    users: int = Field(300, ge=1, description="number of them")
    items: int = Field(400, ge=1, description="number of them")
    engagements: int = Field(20000, ge=1, description="rows of the log")
    impressions: int = Field(8000, ge=1, description="rows of the log")


class GivenLogs(StrictModel):
    """What ``--data`` names: KuaiRand-Pure's files, raw logs as the Beam jobs read them, or a finished dataset."""

    source: Literal["kuairand", "raw", "dataset"] = Field(description="what the folder holds")


Logs = Annotated[CompleteJourneyLogs | PlantedLogs | GivenLogs, Field(discriminator="source")]


class BestOf(StrictModel):
    """The arm with the lowest validation log loss, averaged over the seeds."""

    best_of: list[str] = Field(min_length=1, description="arms to choose from")


class ArmDefinition(StrictModel):
    """One way to train, or one for each value of ``each``. Keys are dotted; below ``arm.`` they are the arm's own."""

    set: Settings = Field({}, description="key -> value")
    each: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        {}, description="key -> values: an arm for every combination, its values behind the name")
    choose: dict[str, Annotated[list[Any], Field(min_length=1)]] | list[Settings] = Field(
        {}, description="key -> values, all combinations of which are candidates; or the candidates themselves")
    teacher: str | None = Field(None, description="arm whose trained ranker teaches this one, with the same seed")


class Experiment(StrictModel):
    """The whole file."""

    title: str = Field(description="of the report, in a few words")
    config: str | None = Field(None, description="configuration that all arms share: a bundled name, or a file "
                                                 "relative to this one (null: what the dataset was built with)")
    logs: Logs = Field(description="where the logs come from")
    set: Settings = Field({}, description="key -> value, for all arms")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        [17, 18, 19], min_length=1, description="of Stage I and II; each arm has each. With one or two hardly any "
                                                "difference can be shown; take five to compare many arms")
    baseline: str | BestOf = Field(description="arm that differences are to")
    arms: dict[Annotated[str, Field(pattern=NAME)], ArmDefinition] = Field(
        min_length=1, description="name -> a way to train")

    @field_validator("arms", mode="before")
    @classmethod
    def _nothing_to_say_is_enough(cls, arms: Any) -> Any:
        return {name: arm or {} for name, arm in arms.items()} if isinstance(arms, dict) else arms

    @model_validator(mode="after")
    def _parts_fit(self) -> Experiment:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {self.seeds} repeat: name each once")
        if self.config is None and self.logs.source != "dataset":
            raise ValueError("config is missing: only a dataset brings its own")
        return self


def load_experiment(path: Path) -> Experiment:
    """Reads the file.

    Raises:
      UserError: it is missing or not YAML, a key is unknown, or a value is out of its range.
    """
    tree = read_yaml(str(path), "experiment")
    try:
        return Experiment.model_validate(tree)
    except ValidationError as error:
        shown = "experiments/completejourney.yaml shows them"
        raise UserError(one_line(f"experiment {str(path)!r}", error, shown, tree)) from error
