"""BigQuery, through Beam's own source; needs the ``gcp`` extra."""

import importlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from beam_pipelines.sources.base import ColumnTypes, RawBatch, TableSource
from beam_pipelines.sources.text import MAX_TEXT_ROWS, batches, to_text
from tfrs_pretrain.config import Source
from tfrs_pretrain.errors import UserError


class BigQuerySource(TableSource):
    """A table or the result of a query; rows have no position."""

    def __init__(self, table: str, source: Source):
        self._table, self._source = table, source

    def read(self, columns: list[str], batch_rows: int) -> beam.PTransform:
        return _ReadBigQuery(self._table, self._source, columns, batch_rows)

    def types(self) -> Iterator[tuple[str, ColumnTypes]]:
        """Nothing to check without asking the service."""
        yield str(self), None

    def whole(self, columns: list[str]) -> Iterator[RawBatch]:
        raise UserError(f"table {self._table}: side tables are read whole by each worker and cannot come from "
                        "BigQuery: export it to Parquet")

    def __str__(self) -> str:
        return f"bigquery:{self._source.path or self._source.query}"


class _ReadBigQuery(beam.PTransform):
    def __init__(self, table: str, source: Source, columns: list[str], batch_rows: int):
        super().__init__()
        self._table, self._source, self._columns, self._batch_rows = table, source, columns, batch_rows

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[RawBatch]:
        origin = f"bigquery:{self._source.path or self._source.query}"
        most = min(self._batch_rows, MAX_TEXT_ROWS)
        return (
            begin
            | "ReadFromBigQuery" >> self._reader()
            | "BatchRows" >> beam.BatchElements(min_batch_size=min(1024, most), max_batch_size=most)
            | "AsColumns" >> beam.FlatMap(_as_columns, origin, self._columns).with_output_types(RawBatch)
        )

    def _reader(self) -> beam.PTransform:
        try:
            # Not at the top: the client is an extra.
            importlib.import_module("google.cloud.bigquery_storage_v1")
            from apache_beam.io.gcp.bigquery import ReadFromBigQuery  # noqa: PLC0415
        except ImportError as error:
            raise UserError(f"table {self._table}: reading BigQuery needs the client libraries ({error}): "
                            "pip install 'tfrs-pretrain[gcp]'") from error
        source = self._source
        place = {"table": source.path} if source.path else {"query": source.query, "use_standard_sql": True}
        if source.method == "EXPORT":
            return ReadFromBigQuery(method="EXPORT", **place)
        chosen = {"selected_fields": self._columns} if source.path else {}
        return ReadFromBigQuery(method="DIRECT_READ", use_native_datetime=True, **place, **chosen)


def _as_columns(rows: list[dict[str, Any]], origin: str, columns: list[str]) -> Iterator[RawBatch]:
    values = ((-1, [to_text(row.get(name)) for name in columns]) for row in rows)
    yield from batches(origin, columns, values, len(rows))
