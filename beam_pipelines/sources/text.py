"""What the formats without types share: columns of strings, lines with numbers."""

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from beam_pipelines.records.files import open_file
from beam_pipelines.sources.base import Format, MalformedRow, RawBatch

# Text rows are Python objects while they are read: fewer at a time than Arrow rows.
MAX_TEXT_ROWS = 1 << 15
Row = list[str | None]


class TextFormat(Format):
    """A file is one part, read as a stream; large exports had better be several files."""

    errors: tuple[type[Exception], ...] = (OSError, EOFError, ValueError, zlib.error)


@contextlib.contextmanager
def open_lines(path: str) -> Iterator[Iterable[bytes]]:
    """Lines of a file, unpacked where its name ends in .gz."""
    with open_file(path) as file, _unpacked(path, file) as lines:
        yield lines


def _unpacked(path: str, file: BinaryIO) -> Any:
    return gzip.GzipFile(fileobj=file) if path.endswith(".gz") else contextlib.nullcontext(file)


def batches(path: str, columns: list[str], rows: Iterable[tuple[int, Row] | MalformedRow], batch_rows: int
            ) -> Iterator[RawBatch]:
    """Rows with their positions as batches of string columns."""
    positions: list[int] = []
    values: list[Row] = []
    malformed: list[MalformedRow] = []
    for row in rows:
        if isinstance(row, MalformedRow):
            malformed.append(row)
        else:
            positions.append(row[0])
            values.append(row[1])
        if len(values) + len(malformed) >= min(batch_rows, MAX_TEXT_ROWS):
            yield _batch(path, columns, positions, values, malformed)
            positions, values, malformed = [], [], []
    if values or malformed:
        yield _batch(path, columns, positions, values, malformed)


def _batch(path: str, columns: list[str], positions: list[int], values: list[Row], malformed: list[MalformedRow]
           ) -> RawBatch:
    by_column = zip(*values, strict=True) if values else ([] for _ in columns)
    rows = pa.RecordBatch.from_pydict({name: pa.array(column, pa.string())
                                       for name, column in zip(columns, by_column, strict=True)})
    return RawBatch(path, np.array(positions, np.int64), rows, tuple(malformed))


def to_text(value: Any) -> str | None:
    """A value from JSON, Avro or BigQuery as it would stand in a text file; None and the like stay None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    if isinstance(value, bool | list | dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    # Dates and times.
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
