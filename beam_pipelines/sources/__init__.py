"""Sources of tables: file formats, tables of data lakes, BigQuery and installed packages behind one interface.

Nothing is opened before a pipeline runs.
"""

from beam_pipelines.sources.avro import Avro
from beam_pipelines.sources.base import Format, RawBatch, TableSource
from beam_pipelines.sources.bigquery import BigQuerySource
from beam_pipelines.sources.csv import Csv
from beam_pipelines.sources.delta_lake import DeltaSource
from beam_pipelines.sources.file_source import FileSource
from beam_pipelines.sources.iceberg import IcebergSource
from beam_pipelines.sources.jsonl import JsonLines
from beam_pipelines.sources.own_source import open_own_source, place_of
from beam_pipelines.sources.parquet import Parquet
from beam_pipelines.sources.parts import PartSource
from tfrs_pretrain.config import SUFFIXES, DatasetConfig, Source

FORMATS: dict[str, type[Format]] = {"parquet": Parquet, "csv": Csv, "tsv": Csv, "jsonl": JsonLines, "avro": Avro}

__all__ = ["FORMATS", "FileSource", "Format", "PartSource", "RawBatch", "TableSource", "open_source"]


def open_source(table: str, declared: str | Source, raw: str, limits: DatasetConfig | None = None) -> TableSource:
    """Creates the source of a table.

    Args:
      table: name for messages.
      declared: path or source of the configuration.
      raw: folder that relative paths start from.
      limits: limits on the inputs. None: the defaults.

    Raises:
      UserError: the source of an installed package cannot be created.
    """
    source = Source.from_declared(declared)
    if source.is_packaged:
        return open_own_source(table, source, raw, limits or DatasetConfig())
    if source.format == "bigquery":
        return BigQuerySource(table, source)
    assert source.path is not None
    if source.format == "iceberg":
        return IcebergSource(table, source.path, source, limits or DatasetConfig())
    if source.format == "delta":
        return DeltaSource(table, place_of(source.path, raw), source, limits or DatasetConfig())
    pattern = place_of(source.path, raw)
    file_format = FORMATS[source.format](table, limits or DatasetConfig(), source)
    return FileSource(table, pattern, file_format, SUFFIXES[source.format])
