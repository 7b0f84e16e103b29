"""A job: configuration, input tables and output folder."""

import dataclasses
import posixpath
from collections.abc import Iterable

from beam_pipelines.jobs.log_spec import LogSpec, TimeRules
from beam_pipelines.jobs.options import DEFAULT_BATCH_ROWS, MIN_BUCKETS, SPLITS
from beam_pipelines.sources import TableSource, open_source
from tfrs_pretrain.config import Condition, Config, Source
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.schema import LABEL, Schema

RESULTS_FOLDER = ".results"
RUN_FILE = ".run.json"  # digest of the job that has written a folder


@dataclasses.dataclass(frozen=True)
class Job:
    """Everything that a pipeline needs to know. Beam pickles it and sends it to the workers.

    Attributes:
      config: schema, windows and sizes.
      raw: folder that relative table paths of the configuration start from.
      folder: output folder, on any file system that Beam supports.
      max_batch_rows: maximum number of rows in an Arrow batch.
      buckets: number of hash buckets that group rows by key. None: not chosen, see ``num_buckets``.
      vocabulary: folder whose vocabularies map ids to rows. None: those in ``folder``.
      extend: folder whose vocabularies are extended. None: vocabularies are built from scratch.
      splits: windows of the impression log to build.
    """

    config: Config
    raw: str
    folder: str
    max_batch_rows: int = DEFAULT_BATCH_ROWS
    buckets: int | None = None
    vocabulary: str | None = None
    extend: str | None = None
    splits: tuple[str, ...] = SPLITS

    @property
    def schema(self) -> Schema:
        return self.config.schema_

    @property
    def engagements(self) -> LogSpec:
        """Engagements of the pretraining window."""
        dataset = self.config.dataset
        return LogSpec("engagements", "engagements", self.schema, {"pretrain": self.config.windows.pretrain},
                       relations=dataset.relations, max_id_bytes=dataset.max_id_bytes,
                       reject_duplicates=dataset.duplicates.engagements == "reject", where=self._where("engagements"),
                       time=self._source("engagements").time, time_rules=self._time_rules("engagements"))

    @property
    def history(self) -> LogSpec:
        """Engagements of any time, for the histories of impressions."""
        return dataclasses.replace(self.engagements, name="history", windows={})

    @property
    def impressions(self) -> LogSpec:
        """Impressions of the windows in ``splits``."""
        windows, dataset = self.config.windows, self.config.dataset
        sampling = dataset.negative_sampling
        return LogSpec("impressions", "impressions", self.schema,
                       {split: getattr(windows, split) for split in self.splits},
                       labels={} if dataset.implicit_feedback else {
                           LABEL: self.schema.label, **{name: name for name in self.schema.labels}},
                       optional_labels=self.schema.optional_label_columns,
                       weight=self.schema.impression_weight, propensity=self.schema.propensity,
                       max_weight=dataset.max_weight,
                       computed_labels={name: Condition.parse(text) for name, text
                                        in self._source("impressions").labels.items()},
                       where=self._where("impressions"),
                       context_features=self.features("impressions"),
                       reject_duplicates=dataset.duplicates.impressions == "reject",
                       negative_rates={"train": sampling.rate} if sampling and "train" in self.splits else {},
                       request=self.schema.request, max_id_bytes=dataset.max_id_bytes,
                       time=self._source("impressions").time,
                       time_rules=self._time_rules("impressions"))

    @property
    def impression_logs(self) -> tuple[LogSpec, ...]:
        """The logs that impressions are built from."""
        return (self.impressions, self.history) if self.compares_times else (self.impressions,)

    @property
    def positive_logs(self) -> tuple[LogSpec, ...]:
        """The logs that the ids, labels and negatives of impressions are built from."""
        return (self.impressions, self.history) if self.config.dataset.implicit_feedback else (self.impressions,)

    @property
    def num_buckets(self) -> int:
        """Number of hash buckets that group rows by key."""
        return MIN_BUCKETS if self.buckets is None else self.buckets

    @property
    def compares_times(self) -> str | None:
        """The key whose part of the job compares the times of both logs, for messages; None if no part does."""
        if self.schema.history:
            return "schema.history"
        return "dataset.implicit_feedback" if self.config.dataset.implicit_feedback else None

    def features(self, source: str) -> tuple[Feature, ...]:
        """Features whose columns are in one table."""
        return tuple(feature for feature in self.schema.features if feature.source == source)

    def tables(self, logs: Iterable[LogSpec]) -> set[str]:
        """Names of the tables that are read for some logs: the logs, and with impressions the side tables in use."""
        names = {log.table for log in logs}
        return names | ({"items", "users"} & {feature.source for feature in self.schema.features}
                        if "impressions" in names else set())

    def source(self, table: str) -> TableSource:
        """Source of a table: "engagements", "impressions", "items" or "users"."""
        dataset = self.config.dataset
        return open_source(table, getattr(dataset.sources, table), self.raw, dataset)

    @property
    def inputs(self) -> list[str]:
        """Folders, files and patterns that the job may read."""
        tables = (str(self.source(name)) for name in ("engagements", "impressions", "items", "users"))
        return [*tables, *filter(None, (self.vocabulary, self.extend))]

    def _source(self, table: str) -> Source:
        return Source.from_declared(getattr(self.config.dataset.sources, table))

    def _where(self, table: str) -> Condition | None:
        text = self._source(table).where
        return Condition.parse(text) if text else None

    def _time_rules(self, table: str) -> TimeRules:
        source = self._source(table)
        return TimeRules(source.time_unit, source.time_zone, source.time_resolution)

    def path(self, *parts: str) -> str:
        """A path inside the output folder."""
        return posixpath.join(self.folder, *parts)
