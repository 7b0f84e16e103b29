"""Tables of a data lake, read as they were at one snapshot."""

import abc
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from beam_pipelines.records.files import FileState
from beam_pipelines.sources.base import ColumnTypes
from beam_pipelines.sources.nested import nested_types, select_columns
from beam_pipelines.sources.parts import PartSource
from tfrs_pretrain.config import Condition, DatasetConfig, Source
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.extras import require
from tfrs_pretrain.own_code import reason

T = TypeVar("T")
MAX_EXACT = 1 << 53  # integers below it are exact as float64


class DataFile(NamedTuple):
    """A file of a table, or a piece of one.

    Attributes:
      name: path of the file, for messages and for the order of equal rows.
      task: what the library reads.
    """

    name: str
    task: Any

    def __str__(self) -> str:
        return self.name


class Snapshot(NamedTuple):
    """A state of a table.

    Attributes:
      number: id or version.
      seconds: when it was written, in seconds since 1970-01-01 UTC.
      num_bytes: size of its files.
      num_rows: number of its rows, as the writer counted them.
    """

    number: int
    seconds: float
    num_bytes: int
    num_rows: int


class SnapshotSource(PartSource):
    """A table with snapshots. ``source.where`` leaves out files that have no such row; the job applies it to each row.

    Args:
      table: name for messages.
      place: what the library opens.
      source: settings of the table.
      limits: limits on the inputs.

    Attributes:
      name: name of the format for messages, and of its extra.
    """

    name: str

    def __init__(self, table: str, place: str, source: Source, limits: DatasetConfig):
        self._table, self._place, self._source, self.limits = table, place, source, limits

    @abc.abstractmethod
    def open(self, number: int | None) -> Any:
        """Opens the table at a snapshot; None: the current one."""

    @abc.abstractmethod
    def describe(self, opened: Any) -> Snapshot:
        """Describes the opened snapshot."""

    @abc.abstractmethod
    def schema(self, opened: Any) -> pa.Schema:
        """Returns the columns of the opened snapshot."""

    @abc.abstractmethod
    def files(self, opened: Any, where: Condition | None) -> Iterator[DataFile]:
        """Yields the files of the opened snapshot, without those whose statistics exclude the condition."""

    @abc.abstractmethod
    def batches(self, opened: Any, file: DataFile, columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Yields rows of a file; of nested columns, the columns that contain them."""

    def snapshot(self) -> Snapshot:
        """Returns the configured snapshot, or the current one.

        Raises:
          UserError: the table or the snapshot does not exist, or cannot be read.
        """
        return self._explained(lambda: self.describe(self.open(self._source.snapshot)))

    def column_types(self) -> Iterator[tuple[str, ColumnTypes]]:
        types = nested_types(self._explained(lambda: self.schema(self.open(self._source.snapshot))))
        # Without a row, the writer often did not know the types.
        yield str(self), types if self.num_rows() else dict.fromkeys(types, pa.null())

    def file_states(self) -> Iterator[tuple[str, FileState]]:
        found = self.snapshot()
        yield f"{self._place} at {found.number}", (found.num_bytes, found.seconds)

    def num_rows(self) -> int:
        return self.snapshot().num_rows

    def parts(self) -> list[DataFile]:
        where = Condition.parse(self._source.where) if self._source.where else None
        return self._explained(lambda: sorted(self.files(self.open(self._source.snapshot), where),
                                              key=lambda file: file.name))

    def read_part(self, part: DataFile, columns: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        for batch in self.batches(self.open(self._source.snapshot), part, columns, batch_rows):
            yield select_columns(batch, columns)

    def _explained(self, call: Callable[[], T]) -> T:
        require(f"table {self._table}: format {self._source.format}", self._source.format)
        try:
            return call()
        except UserError:
            raise
        except Exception as error:  # the libraries raise many
            at = "" if self._source.snapshot is None else f" at snapshot {self._source.snapshot}"
            raise UserError(f"table {self._table}: the {self.name} table {self._place!r}{at} cannot be read "
                            f"({reason(error)}): correct its path, catalog or snapshot") from error

    def __str__(self) -> str:
        return self._place


def top_level(columns: list[str], schema: pa.Schema) -> list[str]:
    """Returns the columns of a schema that contain the requested ones, which may be nested as ``a.b``."""
    names = set(schema.names)
    return sorted({name if name in names else name.partition(".")[0] for name in columns})


def exact_value(where: Condition, dtype: str) -> int | float | str | None:
    """Returns the value of a condition as a column's type has it; None if rounding could change the comparison.

    The job compares numbers as float64.
    """
    if isinstance(where.value, str):
        return where.value if dtype in ("string", "large_string") else None
    if dtype in ("int", "long", "int32", "int64"):
        return int(where.value) if where.value.is_integer() and abs(where.value) < MAX_EXACT else None
    return where.value if dtype == "double" else None
