"""What a job is asked to do, the shape of the logs it reads, and its pipeline options."""

import argparse
import dataclasses
import posixpath

import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from tfrs_pretrain.config import Config, Window
from tfrs_pretrain.schema import Feature, Schema

RESULTS = ".results"
BATCH_ROWS = 1 << 17


class DatasetOptions(PipelineOptions):
    """What to build from what and where, beside the options of Beam."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--config", help="YAML file, or the name of a bundled configuration")
        parser.add_argument("--raw", help="folder that the configured table paths start at")
        parser.add_argument("--output", help="folder to write the dataset to")
        parser.add_argument("--set", action="append", default=[], metavar="A.B=C", help="override a configuration key")
        parser.add_argument("--overwrite", action="store_true", help="replace what the output folder holds")


class ReadOptions(PipelineOptions):
    """How the inputs are read."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--read_batch_rows", type=int, default=BATCH_ROWS,
                            help="most rows in one Arrow batch; bounds a worker's memory, never changes the output")


@dataclasses.dataclass(frozen=True)
class Log:
    """One of the two logs: which rows belong to which split, and which columns come along.

    Attributes:
      table: name among the configured sources.
      schema: names the id, time and window columns.
      windows: split -> interval of the window column.
      label: label column, None for the engagement log.
      context: features that the log itself holds.
    """

    table: str
    schema: Schema
    windows: dict[str, Window]
    label: str | None = None
    context: tuple[Feature, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Columns to read, each once."""
        schema = self.schema
        named = [schema.user.column, schema.item.column, schema.time, schema.window]
        named += [self.label] if self.label else []
        return list(dict.fromkeys([*named, *(feature.source_column for feature in self.context)]))


@dataclasses.dataclass(frozen=True)
class Job:
    """A configuration, where the tables lie and where the dataset goes; travels to the workers.

    Attributes:
      config: what to build.
      raw: folder that the configured table paths start at.
      folder: folder to write, on any file system that Beam knows.
      batch_rows: most rows in one Arrow batch.
    """

    config: Config
    raw: str
    folder: str
    batch_rows: int = BATCH_ROWS

    @property
    def schema(self) -> Schema:
        return self.config.schema_

    @property
    def engagements(self) -> Log:
        return Log("engagements", self.schema, {"pretrain": self.config.windows.pretrain})

    @property
    def impressions(self) -> Log:
        windows = self.config.windows
        return Log("impressions", self.schema,
                   {"train": windows.train, "validation": windows.validation, "test": windows.test},
                   label=self.schema.label, context=self.features("impressions"))

    def features(self, source: str) -> tuple[Feature, ...]:
        """Declared features that come from one table."""
        return tuple(feature for feature in self.schema.features if feature.source == source)

    def source(self, table: str) -> str:
        """File, folder or glob pattern of a table."""
        path: str = getattr(self.config.dataset.sources, table)
        return path if "://" in path else posixpath.join(self.raw, path)

    def path(self, *parts: str) -> str:
        """A path inside the dataset folder."""
        return posixpath.join(self.folder, *parts)


def arrow_type(dtype: str) -> pa.DataType:
    """Arrow type of a declared dtype."""
    return {"int64": pa.int64(), "string": pa.string(), "float32": pa.float32()}[dtype]
