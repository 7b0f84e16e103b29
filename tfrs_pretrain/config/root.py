"""The whole configuration, and the checks across its sections."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from tfrs_pretrain.config.dataset import DatasetConfig, Source
from tfrs_pretrain.config.export import ExportConfig
from tfrs_pretrain.config.pretraining import PretrainingConfig
from tfrs_pretrain.config.ranking import RankingConfig
from tfrs_pretrain.config.tracking import TrackingConfig
from tfrs_pretrain.config.training import TrainingConfig
from tfrs_pretrain.config.windows import Windows
from tfrs_pretrain.names import FolderName
from tfrs_pretrain.schema import Schema
from tfrs_pretrain.strict_model import StrictModel


class Config(StrictModel):
    """All settings of a run."""

    name: FolderName = Field(description="model name: the folder under saved_models/")
    seed: int = Field(17, ge=0, description="of everything random: tables, order, dropout, exposures of the demo")
    schema_: Schema = Field(alias="schema", description="columns of the logs and features of the ranker")
    windows: Windows = Field(description="time windows of pretraining, training, validation and test")
    dataset: DatasetConfig = Field(DatasetConfig(), description="the Beam jobs")
    training: TrainingConfig = Field(TrainingConfig(), description="devices and checkpoints of both stages")
    pretraining: PretrainingConfig = Field(PretrainingConfig(), description="Stage I")
    ranking: RankingConfig = Field(description="Stage II")
    export: ExportConfig = Field(description="the served model")
    tracking: TrackingConfig = Field(TrackingConfig(), description="where runs are recorded; does not change results")

    @field_validator("ranking")
    @classmethod
    def _has_arms(cls, ranking: RankingConfig) -> RankingConfig:
        if not ranking.arms:
            raise ValueError("ranking.arms is empty: name at least one arm")
        return ranking

    @model_validator(mode="after")
    def _parts_fit(self) -> Config:
        if self.export.arm not in self.ranking.arms:
            raise ValueError(f"export.arm {self.export.arm!r} is not one of ranking.arms {sorted(self.ranking.arms)}")
        if bool(self.schema_.relation) != bool(self.dataset.relations):
            raise ValueError("schema.relation and dataset.relations go together: set the column and the weights of its "
                             "values, or neither")
        if self.dataset.implicit_feedback and self.schema_.labels:
            raise ValueError(f"schema.labels {list(self.schema_.labels)}: negatives that are sampled by "
                             "dataset.implicit_feedback have no further labels, omit them")
        if self.dataset.implicit_feedback and self.schema_.optional_labels:
            raise ValueError(f"schema.optional_labels {list(self.schema_.optional_labels)}: every row of a log for "
                             "dataset.implicit_feedback is a positive, so no label is missing; omit them")
        if self.dataset.implicit_feedback and self.schema_.propensity:
            raise ValueError(f"schema.propensity {self.schema_.propensity!r}: negatives that are sampled by "
                             "dataset.implicit_feedback were not shown, so they have no propensity; omit it")
        if self.dataset.max_weight is not None and not self.schema_.has_weights:
            raise ValueError("dataset.max_weight limits schema.impression_weight and schema.propensity: name one of "
                             "them, or omit it")
        computed = Source.from_declared(self.dataset.sources.impressions).labels
        unused = sorted(set(computed) - {self.schema_.label, *self.schema_.labels})
        if unused:
            raise ValueError(f"dataset.sources.impressions.labels computes {unused}, but schema.label is "
                             f"{self.schema_.label!r} and schema.labels are {list(self.schema_.labels)}")
        unknown = sorted(set(self.ranking.labels) - set(self.schema_.labels))
        if unknown:
            raise ValueError(f"ranking.labels {unknown} are not among schema.labels {sorted(self.schema_.labels)}: "
                             "declare them there and build the dataset again, or leave them out")
        tables = {table for space in self.schema_.id_spaces for table in (space, f"fresh_{space}")} | {
            feature.name for feature in self.schema_.features}
        placed = self.training.placement if isinstance(self.training.placement, dict) else {}
        if set(placed) - tables:
            raise ValueError(f"training.placement names {sorted(set(placed) - tables)}, which are no tables: name some "
                             f"of {sorted(tables)}")
        timed = [name for name, space in self.schema_.id_spaces.items() if isinstance(space.ttl, str)]
        if timed and not self.windows.pretrain.temporal:
            raise ValueError(f"schema.{timed[0]}.ttl {self.schema_.id_spaces[timed[0]].ttl!r} is a time, but the "
                             "windows are integers: set it to a number of extensions")
        warm = [name for name, arm in self.ranking.arms.items() if arm.pretrained_tables]
        if warm and self.ranking.id_dim != self.pretraining.dim:
            raise ValueError(f"ranking.id_dim {self.ranking.id_dim} must equal pretraining.dim {self.pretraining.dim} "
                             f"because {warm} start at pretrained rows")
        return self

    def resolved(self) -> dict[str, Any]:
        """Plain JSON types with every default filled in, as stored beside artifacts."""
        return self.model_dump(mode="json", by_alias=True)
