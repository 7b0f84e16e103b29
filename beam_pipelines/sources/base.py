"""Interfaces of sources: Arrow batches that record the position of each row."""

import abc
import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_pipelines.records.files import FileState
from tfrs_pretrain.config import DatasetConfig, Source
from tfrs_pretrain.errors import UserError

# Column -> Arrow type, or None if the values are text that is parsed as the schema declares. None instead of the dict
# if a format has no column names before the rows are read.
ColumnTypes = dict[str, pa.DataType | None] | None


class MalformedRow(NamedTuple):
    """A row that could not be split into columns.

    Attributes:
      position: see ``RawBatch.positions``.
      reason: what is wrong with it.
      text: the row as read.
    """

    position: int
    reason: str
    text: str


@dataclasses.dataclass(frozen=True)
class RawBatch:
    """Rows as they were read.

    Attributes:
      path: file, or the source's name of its table.
      positions: int64 [n], ascending: line (text formats, from 1) or row (other formats, from 0) in the file; -1 if
        the source has no order.
      columns: the requested columns [n]; strings if the format has no types.
      malformed: rows that are not in ``columns``.
      absent: columns that none of the n rows has; a row has a column if it names it, even with the value null.
    """

    path: str
    positions: np.ndarray
    columns: pa.RecordBatch
    malformed: tuple[MalformedRow, ...] = ()
    absent: frozenset[str] = frozenset()

    @property
    def present(self) -> frozenset[str]:
        """The requested columns that at least one row has."""
        return frozenset(self.columns.schema.names) - self.absent if self.columns.num_rows else frozenset()


class TableSource(abc.ABC):
    """A table to read. The constructor performs no input or output.

    Attributes:
      limits: limits on the inputs.
    """

    limits = DatasetConfig()

    @abc.abstractmethod
    def read(self, columns: list[str], batch_rows: int) -> beam.PTransform:
        """Returns ``PBegin -> PCollection[RawBatch]`` of some columns, at most ``batch_rows`` rows in a batch."""

    @abc.abstractmethod
    def column_types(self) -> Iterator[tuple[str, ColumnTypes]]:
        """Yields each part of the table and its columns, for checks before a pipeline starts.

        Raises:
          UserError: a part is missing or not in the declared format.
        """

    def file_states(self) -> Iterator[tuple[str, FileState]]:
        """Yields each file with its state; nothing without files."""
        yield from ()

    def num_rows(self) -> int:
        """Returns the number of rows that the parts contain without being read; 0 if the format does not store it.

        Raises:
          UserError: see ``column_types``.
        """
        return 0

    @abc.abstractmethod
    def read_all(self, columns: list[str]) -> Iterator[RawBatch]:
        """Yields the whole table in a fixed order; for side tables, which fit into memory.

        Raises:
          UserError: see ``column_types``.
        """


class Format(abc.ABC):
    """A file format.

    Args:
      table: name for messages.
      limits: limits on the inputs.
      source: settings of the table.

    Attributes:
      name: name of the format for messages.
      errors: exceptions that decoding may raise.
    """

    name: str
    errors: tuple[type[Exception], ...] = (OSError, EOFError, ValueError)

    def __init__(self, table: str, limits: DatasetConfig, source: Source):
        del source  # for formats with settings
        self.table, self.limits = table, limits

    @abc.abstractmethod
    def column_types(self, path: str) -> ColumnTypes:
        """Returns the columns of a file."""

    @abc.abstractmethod
    def read(self, path: str, part: tuple[int, int], columns: list[str], batch_rows: int) -> Iterator[RawBatch]:
        """Yields the rows of one part of a file, at most ``batch_rows`` in a batch."""

    def parts(self, path: str) -> Iterator[tuple[int, int]]:
        """Yields the parts that can be read independently: number of the part and position of its first row."""
        yield 0, 0

    def num_rows(self, path: str) -> int:
        """Returns the number of rows that a file stores; 0 if it stores none."""
        del path
        return 0

    def unreadable_error(self, path: str, error: Exception) -> UserError:
        """Describes a file that could not be decoded."""
        return UserError(f"table {self.table}: {path!r} is not readable as {self.name} "
                         f"({' '.join(str(error).split()) or type(error).__name__}); write it again")
