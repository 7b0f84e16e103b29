"""BigQuery; requires the ``gcp`` extra.

A table is read in Arrow batches, see ``bigquery_storage``. The result of a query and exported files come as rows from
Beam's own source.
"""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from beam_pipelines.sources.arrow_texts import arrow_to_texts
from beam_pipelines.sources.base import ColumnTypes, RawBatch, TableSource
from beam_pipelines.sources.text import MAX_TEXT_ROWS, row_of_values, to_batches
from tfrs_pretrain.config import Source
from tfrs_pretrain.errors import UserError


class BigQuerySource(TableSource):
    """A table or the result of a query. Its rows have no position."""

    def __init__(self, table: str, source: Source):
        self._table, self._source = table, source

    def read(self, columns: list[str], batch_rows: int) -> beam.PTransform:
        return _ReadBigQuery(self._table, self._source, columns, batch_rows)

    def column_types(self) -> Iterator[tuple[str, ColumnTypes]]:
        """Yields no columns: they are unknown without a request to the service."""
        yield str(self), None

    def read_all(self, columns: list[str]) -> Iterator[RawBatch]:
        raise UserError(f"table {self._table}: a side table cannot come from BigQuery, because each worker reads it "
                        "completely: export it to Parquet")

    def __str__(self) -> str:
        return _origin(self._source)


class _ReadBigQuery(beam.PTransform):
    def __init__(self, table: str, source: Source, columns: list[str], batch_rows: int):
        super().__init__()
        self._table, self._source, self._columns, self._batch_rows = table, source, columns, batch_rows

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[RawBatch]:
        max_rows = min(self._batch_rows, MAX_TEXT_ROWS)
        if self._source.path and self._source.method == "DIRECT_READ":
            return (
                begin
                | "ReadFromBigQuery" >> self._stored_table(self._source.path)
                | "ConvertToColumns" >> beam.FlatMap(arrow_to_texts, _origin(self._source), self._columns, max_rows)
                .with_output_types(RawBatch)
            )
        return (
            begin
            | "ReadFromBigQuery" >> self._rows()
            | "BatchRows" >> beam.BatchElements(min_batch_size=min(1024, max_rows), max_batch_size=max_rows)
            | "ConvertToColumns" >> beam.FlatMap(_to_columns, _origin(self._source), self._columns)
            .with_output_types(RawBatch)
        )

    def _stored_table(self, place: str) -> beam.PTransform:
        with self._needed_client():
            # Imported here because the client is an optional dependency.
            from beam_pipelines.sources.bigquery_storage import ReadStoredTable  # noqa: PLC0415
        return ReadStoredTable(place, self._columns)

    def _rows(self) -> beam.PTransform:
        with self._needed_client():
            importlib.import_module("google.cloud.bigquery_storage_v1")
            from apache_beam.io.gcp.bigquery import ReadFromBigQuery  # noqa: PLC0415
        source = self._source
        place = {"table": source.path} if source.path else {"query": source.query, "use_standard_sql": True}
        if source.method == "EXPORT":
            return ReadFromBigQuery(method="EXPORT", **place)
        return ReadFromBigQuery(method="DIRECT_READ", use_native_datetime=True, **place)

    @contextlib.contextmanager
    def _needed_client(self) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            raise UserError(f"table {self._table}: reading BigQuery needs the client libraries ({error}): "
                            "pip install 'tfrs-pretrain[gcp]'") from error


def _origin(source: Source) -> str:
    return f"bigquery:{source.path or source.query}"


def _to_columns(rows: list[dict[str, Any]], origin: str, columns: list[str]) -> Iterator[RawBatch]:
    values = (row_of_values(-1, row, columns) for row in rows)
    yield from to_batches(origin, columns, values, len(rows))
