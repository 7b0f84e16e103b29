"""What a job is asked to do, the shape of the logs it reads, and its pipeline options."""

import argparse
import dataclasses
import posixpath

import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.sources import TableSource, open_source
from tfrs_pretrain.config import Config, Source, Window
from tfrs_pretrain.schema import LABEL, Feature, Schema

RESULTS = ".results"
SPLITS = ("train", "validation", "test")
BATCH_ROWS = 1 << 17
BUCKETS = 16


class DatasetOptions(PipelineOptions):
    """What to build from what and where, beside the options of Beam."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--config", help="YAML file, or the name of a bundled configuration (with --vocabulary it "
                                             "may be left out: the one that its folder was built with)")
        parser.add_argument("--raw", help="folder that the configured table paths start at")
        parser.add_argument("--output", help="folder to write the dataset to")
        parser.add_argument("--set", action="append", default=[], metavar="A.B=C", help="override a configuration key")
        parser.add_argument("--overwrite", action="store_true", help="replace what the output folder holds")
        parser.add_argument("--finish", action="store_true",
                            help="run nothing: check and finish what a job launched from a template has written")


class ReadOptions(PipelineOptions):
    """How the inputs are read; never changes the output."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--read_batch_rows", type=int, default=BATCH_ROWS,
                            help="most rows in one Arrow batch; bounds a worker's memory, never changes the output")
        parser.add_argument("--buckets", type=int, default=BUCKETS,
                            help="parts in which rows of equal key are brought together (duplicates, histories): a "
                                 "worker holds one at a time; never changes the output")


class ExtendOptions(PipelineOptions):
    """Where the rows of ids come from."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--extend", metavar="FOLDER",
                            help="dataset or vocabulary folder whose ids keep their rows; new ids are appended")


class VocabularyOptions(PipelineOptions):
    """Which vocabularies to map with."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--vocabulary", metavar="FOLDER", help="dataset or vocabulary folder to map ids with")


class SplitOptions(PipelineOptions):
    """Which windows of the impressions to build."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--splits", default=",".join(SPLITS),
                            help="windows to build, separated by commas; the others may hold no rows. `test` alone is "
                                 "enough to judge trained models (default: %(default)s)")


@dataclasses.dataclass(frozen=True)
class Log:
    """A log as a job reads it: which rows belong to which split, and which columns come along.

    Attributes:
      name: of its account and its dead letter.
      table: name among the configured sources.
      schema: names the id, time and window columns.
      windows: split -> interval of the window column; empty: all rows are of split "all".
      labels: name in the dataset -> label column, empty for the engagement log.
      context: features that the log itself holds.
      relations: value of the relation column -> weight, empty where there is no such column.
      duplicates: whether rows of equal key are rejected but for one.
      negative_rates: split -> share of its negatives to keep.
      request: column that names the request of an impression, None where there is none.
      time: "timestamp" or "integer": what the time column holds where the format does not say.
    """

    name: str
    table: str
    schema: Schema
    windows: dict[str, Window]
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    context: tuple[Feature, ...] = ()
    relations: dict[str, float] = dataclasses.field(default_factory=dict)
    duplicates: bool = False
    negative_rates: dict[str, float] = dataclasses.field(default_factory=dict)
    request: str | None = None
    time: str = "timestamp"

    @property
    def kinds(self) -> dict[str, str]:
        """Column to read -> what its values are, see ``text_values.parse``."""
        schema = self.schema
        kinds: dict[str, str] = {self.request: "string"} if self.request else {}
        kinds |= {feature.source_column: feature_kind(feature) for feature in self.context}
        kinds |= dict.fromkeys(self.labels.values(), "label")
        if self.relations and schema.relation:
            kinds[schema.relation] = "string"
        kinds[schema.time] = "int64" if self.time == "integer" else "timestamp"
        if self.windows:
            kinds[schema.window] = "timestamp" if self.temporal else "int64"
        kinds.update((space.column, space.dtype) for space in schema.id_spaces.values())
        return kinds

    @property
    def temporal(self) -> bool:
        """Whether the windows are dates."""
        return next(iter(self.windows.values())).temporal

    @property
    def columns(self) -> list[str]:
        """Columns to read, each once."""
        return list(self.kinds)


@dataclasses.dataclass(frozen=True)
class Job:
    """A configuration, where the tables lie and where the dataset goes; travels to the workers.

    Attributes:
      config: what to build.
      raw: folder that the configured table paths start at.
      folder: folder to write, on any file system that Beam knows.
      batch_rows: most rows in one Arrow batch.
      buckets: parts in which rows of equal key are brought together.
      vocabulary: folder whose vocabularies map ids to rows; None: those in ``folder``.
      extend: folder whose vocabularies are extended; None: they are built anew.
      splits: windows of the impressions to build.
    """

    config: Config
    raw: str
    folder: str
    batch_rows: int = BATCH_ROWS
    buckets: int = BUCKETS
    vocabulary: str | None = None
    extend: str | None = None
    splits: tuple[str, ...] = SPLITS

    @property
    def schema(self) -> Schema:
        return self.config.schema_

    @property
    def engagements(self) -> Log:
        dataset = self.config.dataset
        return Log("engagements", "engagements", self.schema, {"pretrain": self.config.windows.pretrain},
                   relations=dataset.relations, duplicates=dataset.duplicates.engagements == "reject",
                   time=self._time("engagements"))

    @property
    def history(self) -> Log:
        """Engagements of any time, for the histories of impressions."""
        return dataclasses.replace(self.engagements, name="history", windows={})

    @property
    def impressions(self) -> Log:
        windows, dataset = self.config.windows, self.config.dataset
        sampling = dataset.negative_sampling
        return Log("impressions", "impressions", self.schema,
                   {split: getattr(windows, split) for split in self.splits},
                   labels={LABEL: self.schema.label, **{name: name for name in self.schema.labels}},
                   context=self.features("impressions"), duplicates=dataset.duplicates.impressions == "reject",
                   negative_rates={"train": sampling.rate} if sampling and "train" in self.splits else {},
                   request=self.schema.request, time=self._time("impressions"))

    @property
    def impression_logs(self) -> tuple[Log, ...]:
        """What impressions are built from."""
        return (self.impressions, self.history) if self.schema.history else (self.impressions,)

    def features(self, source: str) -> tuple[Feature, ...]:
        """Declared features that come from one table."""
        return tuple(feature for feature in self.schema.features if feature.source == source)

    def source(self, table: str) -> TableSource:
        return open_source(table, getattr(self.config.dataset.sources, table), self.raw)

    @property
    def inputs(self) -> list[str]:
        """Folders, files and patterns that the job may read."""
        tables = (str(self.source(name)) for name in ("engagements", "impressions", "items", "users"))
        return [*tables, *filter(None, (self.vocabulary, self.extend))]

    def _time(self, table: str) -> str:
        return Source.from_declared(getattr(self.config.dataset.sources, table)).time

    def path(self, *parts: str) -> str:
        """A path inside the dataset folder."""
        return posixpath.join(self.folder, *parts)


def feature_kind(feature: Feature) -> str:
    """What the values of a feature's column are, see ``text_values.parse``."""
    return f"{feature.dtype}[{feature.separator or ''}]" if feature.max_values else feature.dtype


def arrow_type(dtype: str) -> pa.DataType:
    """Arrow type of a declared dtype."""
    return {"int64": pa.int64(), "string": pa.string(), "float32": pa.float32()}[dtype]
