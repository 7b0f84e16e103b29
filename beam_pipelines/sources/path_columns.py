"""Columns that folders name, as Hive and Spark write them: ``day=2024-03-01/part-0.parquet``."""

from collections.abc import Iterable
from urllib.parse import unquote

import pyarrow as pa

from beam_pipelines.sources.base import RawBatch

NULL = "__HIVE_DEFAULT_PARTITION__"


def path_values(path: str) -> dict[str, str | None]:
    """Returns column -> text, or None for a missing value, of the folders of a path."""
    pairs = (folder.partition("=") for folder in path.split("/")[:-1])
    return {unquote(name): None if value == NULL else unquote(value)
            for name, equals, value in pairs if name and equals}


def add_path_values(batch: RawBatch, columns: list[str], added: dict[str, str | None]) -> RawBatch:
    """Adds columns of one text each; ``columns`` names all in their order."""
    rows = batch.columns.num_rows
    arrays = [pa.repeat(pa.scalar(added[name], pa.string()), rows) if name in added else batch.columns[name]
              for name in columns]
    return RawBatch(batch.path, batch.positions, pa.RecordBatch.from_arrays(arrays, columns), batch.malformed,
                    batch.absent - added.keys())


def missing_in(columns: list[str], found: Iterable[str], path: str) -> dict[str, str | None]:
    """Returns the values of the path for those columns that the file does not have itself."""
    values, stored = path_values(path), set(found)
    return {name: values[name] for name in columns if name in values and name not in stored}
