"""Sources of tables: file formats and BigQuery behind one interface. Nothing is opened before a pipeline runs."""

import posixpath

from beam_pipelines.sources.avro import Avro
from beam_pipelines.sources.base import Format, RawBatch, TableSource
from beam_pipelines.sources.bigquery import BigQuerySource
from beam_pipelines.sources.csv import Csv
from beam_pipelines.sources.file_source import FileSource
from beam_pipelines.sources.jsonl import JsonLines
from beam_pipelines.sources.parquet import Parquet
from tfrs_pretrain.config import SUFFIXES, DatasetConfig, Source

FORMATS: dict[str, type[Format]] = {"parquet": Parquet, "csv": Csv, "tsv": Csv, "jsonl": JsonLines, "avro": Avro}

__all__ = ["FORMATS", "FileSource", "Format", "RawBatch", "TableSource", "open_source"]


def open_source(table: str, declared: str | Source, raw: str, limits: DatasetConfig | None = None) -> TableSource:
    """Creates the source of a table.

    Args:
      table: name for messages.
      declared: path or source of the configuration.
      raw: folder that relative paths start from.
      limits: limits on the inputs. None: the defaults.
    """
    source = Source.from_declared(declared)
    if source.format == "bigquery":
        return BigQuerySource(table, source)
    assert source.path is not None
    pattern = source.path if "://" in source.path else posixpath.join(raw, source.path)
    file_format = FORMATS[source.format](table, limits or DatasetConfig(), source)
    return FileSource(table, pattern, file_format, SUFFIXES[source.format])
