"""Parquet tables as Arrow batches of bounded size."""

from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from beam_pipelines.files import matching_files, open_file
from tfrs_pretrain.errors import UserError


class ReadTable(beam.PTransform):
    """Reads some columns of a table; row groups are read in parallel, nothing is opened before the pipeline runs.

    Args:
      table: name used in messages.
      pattern: file, folder or glob pattern.
      columns: columns to read.
      batch_rows: most rows in one batch.
    """

    def __init__(self, table: str, pattern: str, columns: list[str], batch_rows: int):
        super().__init__()
        self._table, self._pattern, self._columns, self._batch_rows = table, pattern, columns, batch_rows

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[pa.RecordBatch]:
        return (
            begin
            | "Pattern" >> beam.Create([self._pattern])
            | "ListRowGroups" >> beam.FlatMap(_row_groups, self._table).with_output_types(tuple[str, int])
            | "SpreadRowGroups" >> beam.Reshuffle()
            | "ReadBatches" >> beam.FlatMap(_read_batches, self._table, self._columns, self._batch_rows)
            .with_output_types(pa.RecordBatch)
        )


def table_schema(table: str, path: str) -> pa.Schema:
    """Arrow schema of one file.

    Raises:
      UserError: it is not readable as Parquet.
    """
    try:
        with open_file(path) as file:
            return pq.read_schema(file)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(table, path, error) from error


def read_whole(table: str, pattern: str, columns: list[str]) -> pa.Table:
    """Some columns of a whole table, in order of the files' names; for side tables, which fit into memory.

    Raises:
      UserError: a file is missing or not readable as Parquet.
    """
    parts = []
    for path in matching_files(table, pattern):
        try:
            with open_file(path) as file:
                parts.append(pq.read_table(file, columns=columns))
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(table, path, error) from error
    return pa.concat_tables(parts, promote_options="permissive")


def _row_groups(pattern: str, table: str) -> Iterator[tuple[str, int]]:
    for path in matching_files(table, pattern):
        with open_file(path) as file:
            groups = pq.ParquetFile(file).num_row_groups
        yield from ((path, group) for group in range(groups))


def _read_batches(group: tuple[str, int], table: str, columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
    path, number = group
    try:
        with open_file(path) as file:
            yield from pq.ParquetFile(file).iter_batches(batch_rows, row_groups=[number], columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(table, path, error) from error


def _unreadable(table: str, path: str, error: Exception) -> UserError:
    return UserError(f"table {table}: {path!r} is not readable as Parquet ({' '.join(str(error).split())}); "
                     "write it again")
