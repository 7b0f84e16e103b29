"""The source of an installed package, checked at every point where the jobs use it."""

import pickle
import posixpath
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.internal import pickler

from beam_pipelines.records.files import FileState
from beam_pipelines.sources.base import ColumnTypes, RawBatch, TableSource
from beam_pipelines.sources.parts import PartSource
from tfrs_pretrain.config import DatasetConfig, Source
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.own_code import SOURCES, plug_in, reason

_TRIED_ROWS = 16


def open_own_source(table: str, source: Source, raw: str, limits: DatasetConfig) -> TableSource:
    """Creates the source of a table by the entry point of an installed package.

    The class or function is called with the settings, and with those of these arguments that it names: ``table``
    ("engagements", "impressions", "items" or "users"), ``path`` (see ``place_of``, or None) and ``limits``.

    Raises:
      UserError: it cannot be created, or is no ``TableSource``.
    """
    found = plug_in(SOURCES, source.format)
    created = found.create(source.settings, {
        "table": table, "limits": limits, "path": None if source.path is None else place_of(source.path, raw)})
    title = f"table {table}: {found.title}"
    if not isinstance(created, TableSource):
        raise UserError(f"{title} returns {type(created).__name__}, expected a TableSource or PartSource of "
                        "beam_pipelines.sources")
    return OwnSource(title, created)


def place_of(path: str, raw: str) -> str:
    """Returns a path of the configuration, which starts from the folder ``raw`` unless it is absolute or a URL."""
    return path if "://" in path else posixpath.join(raw, path)


class OwnSource(TableSource):
    """A source of the user's own whose mistakes become one line.

    Args:
      title: table and entry point, for messages.
      source: what the entry point returned.
    """

    def __init__(self, title: str, source: TableSource):
        self._title, self._source = title, source
        self.limits = source.limits

    def check(self, columns: list[str]) -> None:
        """Checks before a pipeline starts that workers can receive the source, and reads a few rows if it has parts.

        Raises:
          UserError: names the mistake.
        """
        source = self._source
        self._explained(lambda: pickler.dumps(source), "cannot be sent to workers",
                        "open connections and files in read_part, not in __init__")
        if isinstance(source, PartSource):
            parts = self._explained(lambda: list(source.parts()), "cannot list its parts")
            self._explained(lambda: pickle.dumps(parts), "has parts that cannot be sent to workers",
                            "yield texts, numbers or tuples of them")
            for part in parts[:1]:
                batch = next(source.numbered(part, columns, _TRIED_ROWS), None)
                if batch is not None:
                    self.checked(batch, columns)

    def read(self, columns: list[str], batch_rows: int) -> beam.PTransform:
        return _ReadChecked(self, self._source, columns, batch_rows)

    def column_types(self) -> Iterator[tuple[str, ColumnTypes]]:
        for found in self._explained(lambda: list(self._source.column_types()), "cannot describe its columns"):
            if not _describes_columns(found):
                raise UserError(f"{self._title} describes its columns by {found!r}, expected a tuple of a part's name "
                                "and a dict of columns with Arrow types, or None for texts")
            yield found

    def file_states(self) -> Iterator[tuple[str, FileState]]:
        yield from self._source.file_states()

    def read_all(self, columns: list[str]) -> Iterator[RawBatch]:
        for batch in self._source.read_all(columns):
            yield self.checked(batch, columns)

    def checked(self, batch: Any, columns: list[str]) -> RawBatch:
        """Returns a batch that has the requested columns.

        Raises:
          UserError: it is no batch, lacks a column, or has more or fewer positions than rows.
        """
        if not isinstance(batch, RawBatch):
            raise UserError(f"{self._title} reads {type(batch).__name__}, expected a RawBatch")
        if missing := [name for name in columns if name not in batch.columns.schema.names]:
            raise UserError(f"{self._title} reads columns {batch.columns.schema.names} without the requested "
                            f"{missing[0]!r}: read {columns}")
        if np.shape(batch.positions) != (batch.columns.num_rows,):
            raise UserError(f"{self._title} reads {batch.columns.num_rows} rows with positions of shape "
                            f"{list(np.shape(batch.positions))}, expected one for each row")
        return batch

    def _explained(self, call: Callable[[], Any], problem: str, advice: str = "correct the source or its settings"
                   ) -> Any:
        try:
            return call()
        except UserError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise UserError(f"{self._title} {problem} ({reason(error)}): {advice}") from error

    def __str__(self) -> str:
        return str(self._source)


def _describes_columns(found: Any) -> bool:
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], str)):
        return False
    types = found[1]
    return types is None or (isinstance(types, dict) and all(
        dtype is None or isinstance(dtype, pa.DataType) for dtype in types.values()))


class _ReadChecked(beam.PTransform):
    """Reads a table and checks each batch."""

    def __init__(self, checks: OwnSource, source: TableSource, columns: list[str], batch_rows: int):
        super().__init__()
        self._checks, self._source, self._columns, self._batch_rows = checks, source, columns, batch_rows

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[RawBatch]:
        return (
            begin
            | "ReadSource" >> self._source.read(self._columns, self._batch_rows)
            | "CheckBatches" >> beam.Map(self._checks.checked, self._columns).with_output_types(RawBatch)
        )
