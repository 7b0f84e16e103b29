"""What a source gives: Arrow batches that know where each row stands."""

import abc
import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_pipelines.records.files import list_table_files
from tfrs_pretrain.errors import UserError

# Column -> Arrow type, None where values come as text to be parsed as the schema declares; None for the whole where
# even the names are known only row by row.
ColumnTypes = dict[str, pa.DataType | None] | None


class MalformedRow(NamedTuple):
    """A row that could not be split into columns."""

    position: int
    reason: str
    text: str


@dataclasses.dataclass(frozen=True)
class RawBatch:
    """Rows as they were read.

    Attributes:
      path: file, or what the source calls its table.
      positions: int64 [n], ascending: line (text formats, from 1) or row (others, from 0) in the file; -1 where rows
        have no order.
      rows: the columns asked for [n]; strings where the format has no types.
      malformed: further rows, of no use.
    """

    path: str
    positions: np.ndarray
    rows: pa.RecordBatch
    malformed: tuple[MalformedRow, ...] = ()


class TableSource(abc.ABC):
    """A table to read. Its construction does no input or output."""

    @abc.abstractmethod
    def read(self, columns: list[str], batch_rows: int) -> beam.PTransform:
        """``PBegin -> PCollection[RawBatch]`` of some columns, at most ``batch_rows`` rows each."""

    @abc.abstractmethod
    def types(self) -> Iterator[tuple[str, ColumnTypes]]:
        """Each part of the table and its columns, for checks before a pipeline starts.

        Raises:
          UserError: a part is missing or not in the declared format.
        """

    @abc.abstractmethod
    def whole(self, columns: list[str]) -> Iterator[RawBatch]:
        """The whole table in a fixed order, for side tables, which fit into memory.

        Raises:
          UserError: as ``types``.
        """


class Format(abc.ABC):
    """One file format; ``table`` is the name used in messages."""

    # What a file that cannot be read is said not to be, and what it raises while decoding.
    name: str
    errors: tuple[type[Exception], ...] = (OSError, EOFError, ValueError)

    def __init__(self, table: str):
        self.table = table

    @abc.abstractmethod
    def types(self, path: str) -> ColumnTypes:
        """Columns of one file."""

    @abc.abstractmethod
    def read(self, path: str, part: tuple[int, int], columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        """Rows of one part of a file."""

    def parts(self, path: str) -> Iterator[tuple[int, int]]:
        """Parts that can be read apart from each other: number and position of the first row."""
        yield 0, 0

    def unreadable(self, path: str, error: Exception) -> UserError:
        return UserError(f"table {self.table}: {path!r} is not readable as {self.name} "
                         f"({' '.join(str(error).split()) or type(error).__name__}); write it again")


class FileSource(TableSource):
    """Files of one format on any file system that Beam knows.

    Args:
      table: name used in messages.
      pattern: file, folder or glob pattern.
      form: the format.
      suffixes: of the files to take from a folder.
    """

    def __init__(self, table: str, pattern: str, form: Format, suffixes: tuple[str, ...]):
        self._table, self._pattern, self._form, self._suffixes = table, pattern, form, suffixes

    def read(self, columns: list[str], batch_rows: int) -> beam.PTransform:
        return _ReadFiles(self, columns, batch_rows)

    def types(self) -> Iterator[tuple[str, ColumnTypes]]:
        for path in self.files():
            yield path, self._guarded(path, self._form.types, path)

    def whole(self, columns: list[str]) -> Iterator[RawBatch]:
        for path, part in self.parts(self._pattern):
            yield from self.read_part((path, part), columns, 1 << 20)

    def files(self) -> list[str]:
        """Paths, sorted."""
        return list_table_files(self._table, self._pattern, self._suffixes)

    def parts(self, _: str) -> Iterator[tuple[str, tuple[int, int]]]:
        """Every part of every file."""
        for path in self.files():
            for part in self._guarded(path, lambda path: list(self._form.parts(path)), path):
                yield path, part

    def read_part(self, element: tuple[str, tuple[int, int]], columns: list[str], batch_rows: int
                  ) -> Iterator[RawBatch]:
        """Rows of one part."""
        path, part = element
        try:
            yield from self._form.read(path, part, columns, batch_rows)
        except self._form.errors as error:
            raise self._form.unreadable(path, error) from error

    def _guarded(self, path: str, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except self._form.errors as error:
            raise self._form.unreadable(path, error) from error

    def __str__(self) -> str:
        return self._pattern


class _ReadFiles(beam.PTransform):
    """Parts of files are read in parallel."""

    def __init__(self, source: FileSource, columns: list[str], batch_rows: int):
        super().__init__()
        self._source, self._columns, self._batch_rows = source, columns, batch_rows

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[RawBatch]:
        return (
            begin
            | "Pattern" >> beam.Create([str(self._source)])
            | "ListParts" >> beam.FlatMap(self._source.parts).with_output_types(tuple[str, tuple[int, int]])
            | "SpreadParts" >> beam.Reshuffle()
            | "ReadBatches" >> beam.FlatMap(self._source.read_part, self._columns, self._batch_rows)
            .with_output_types(RawBatch)
        )
