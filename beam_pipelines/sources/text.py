"""Shared parts of the formats without types: string columns and numbered lines."""

import contextlib
import io
import itertools
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from beam_pipelines.records.files import open_file
from beam_pipelines.sources.base import Format, MalformedRow, RawBatch
from beam_pipelines.sources.compression import Utf8File, decompress
from beam_pipelines.sources.limits import bounded_lines
from beam_pipelines.sources.nested import find_value
from tfrs_pretrain.config import DatasetConfig

# Rows of text are Python objects while they are read, so batches are smaller than those of Arrow rows.
MAX_TEXT_ROWS = 1 << 15
MAX_BATCH_CHARACTERS = 1 << 26
# In place of a value: the row has no such column. False, as None is.
ABSENT = type("Absent", (), {"__bool__": lambda self: False})()
Row = list[Any]  # texts, None or ABSENT


class TextFormat(Format):
    """A file is one part and is read as a stream. Split large exports into several files."""

    errors: tuple[type[Exception], ...] = (OSError, EOFError, ValueError, zlib.error)


@contextlib.contextmanager
def open_lines(path: str, limits: DatasetConfig, encoding: str = "utf-8") -> Iterator[Iterator[bytes]]:
    """Yields the lines of a file, decompressed as the end of its name says; oversized ones see ``bounded_lines``.

    Args:
      path: file.
      limits: limits on the inputs.
      encoding: of the file. In one whose line ends are not the byte of LF, such as UTF-16, lines are yielded in UTF-8.

    Raises:
      UserError: see ``LimitedFile``.
    """
    with open_file(path) as file:
        content: Any = decompress(path, file, limits.max_decompression_ratio)
        if not has_byte_lines(encoding):
            content = io.BufferedReader(Utf8File(content, encoding))
        yield bounded_lines(content, limits.max_line_bytes)


def has_byte_lines(encoding: str) -> bool:
    """Whether a line ends with the byte of LF and no other character contains it."""
    return "a\n".encode(encoding).endswith(b"a\n")


def to_batches(path: str, columns: list[str], rows: Iterable[tuple[int, Row] | MalformedRow], batch_rows: int
               ) -> Iterator[RawBatch]:
    """Collects rows into batches of string columns.

    Args:
      path: see ``RawBatch``.
      columns: names of the values of a row.
      rows: position and values of each row, or a malformed row.
      batch_rows: maximum number of rows in a batch, malformed ones included; MAX_TEXT_ROWS if that is less. A batch
        also ends when its texts have MAX_BATCH_CHARACTERS characters.
    """
    positions: list[int] = []
    values: list[Row] = []
    malformed: list[MalformedRow] = []
    num_characters = 0
    for row in rows:
        if isinstance(row, MalformedRow):
            malformed.append(row)
            num_characters += len(row.text)
        else:
            positions.append(row[0])
            values.append(row[1])
            num_characters += sum(map(len, filter(None, row[1])))
        if (len(values) + len(malformed) >= min(batch_rows, MAX_TEXT_ROWS)
                or num_characters >= MAX_BATCH_CHARACTERS):
            yield _batch(path, columns, positions, values, malformed)
            positions, values, malformed, num_characters = [], [], [], 0
    if values or malformed:
        yield _batch(path, columns, positions, values, malformed)


def _batch(path: str, columns: list[str], positions: list[int], values: list[Row], malformed: list[MalformedRow]
           ) -> RawBatch:
    try:
        return _columns(path, columns, positions, values, malformed)
    except UnicodeEncodeError:
        good = [_is_unicode(row) for row in values]
        bad = [MalformedRow(position, "half of a surrogate pair", json.dumps([*_without_absent(row)]))
               for position, row, is_good in zip(positions, values, good, strict=True) if not is_good]
        return _columns(path, columns, [*itertools.compress(positions, good)], [*itertools.compress(values, good)],
                        [*malformed, *bad])


def _is_unicode(row: Row) -> bool:
    try:
        "".join(value for value in row if isinstance(value, str)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _columns(path: str, columns: list[str], positions: list[int], values: list[Row], malformed: list[MalformedRow]
             ) -> RawBatch:
    texts: Iterable[Sequence[Any]] = zip(*values, strict=True) if values else ([] for _ in columns)
    by_column = dict(zip(columns, texts, strict=True))
    batch = pa.RecordBatch.from_pydict({name: pa.array(_without_absent(column), pa.string())
                                        for name, column in by_column.items()})
    absent = frozenset(name for name, column in by_column.items() if all(value is ABSENT for value in column))
    return RawBatch(path, np.array(positions, np.int64), batch, tuple(malformed), absent)


def _without_absent(column: Sequence[Any]) -> Sequence[str | None]:
    return [None if value is ABSENT else value for value in column] if ABSENT in column else column


def row_of_values(position: int, values: Mapping[str, Any], columns: list[str]) -> tuple[int, Row] | MalformedRow:
    """Converts the values of a row to texts; a row that has no text in UTF-8 is malformed."""
    try:
        found = (find_value(values, name, ABSENT) for name in columns)
        return position, [value if value is ABSENT else to_text(value) for value in found]
    except UnicodeDecodeError:
        return MalformedRow(position, "not UTF-8", json.dumps(values, default=repr, ensure_ascii=False))
    except RecursionError:
        return MalformedRow(position, "nested too deeply", "")


def to_text(value: Any) -> str | None:
    """Converts a value from JSON, Avro or BigQuery to the text that a text file would contain; None stays None.

    Raises:
      UnicodeDecodeError: the value contains bytes that are not UTF-8.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    if isinstance(value, bool | list | dict):
        return json.dumps(value, default=_without_json_type, ensure_ascii=False)
    # Dates and times.
    return str(value.isoformat()) if hasattr(value, "isoformat") else _without_json_type(value)


def _without_json_type(value: Any) -> str:
    return bytes(value).decode() if isinstance(value, bytes | bytearray | memoryview) else str(value)
