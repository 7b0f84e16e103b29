"""Arrow batches as columns of texts: what a text file with these values would contain, without an object per value."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.sources.base import RawBatch
from beam_pipelines.sources.nested import nested_types, select_columns
from beam_pipelines.sources.text import MAX_BATCH_CHARACTERS, row_of_values, to_batches, to_text


def arrow_to_texts(batch: pa.RecordBatch, path: str, columns: list[str], max_rows: int) -> Iterator[RawBatch]:
    """Converts rows without positions as ``row_of_values`` does.

    Args:
      batch: rows; a dotted name is a field of a struct.
      path: see ``RawBatch``.
      columns: names to convert; those that the rows lack are absent.
      max_rows: maximum number of rows in a batch.
    """
    size = min(max_rows, max(1, batch.num_rows * MAX_BATCH_CHARACTERS // max(batch.nbytes, 1)))
    for start in range(0, batch.num_rows, size):
        part = batch.slice(start, size)
        try:
            yield _converted(part, path, columns)
        except UnicodeDecodeError:  # a row whose bytes are not UTF-8 is malformed
            yield from to_batches(path, columns, (row_of_values(-1, row, columns) for row in part.to_pylist()), size)


def _converted(batch: pa.RecordBatch, path: str, columns: list[str]) -> RawBatch:
    types = nested_types(batch.schema)
    present = select_columns(batch, [name for name in columns if name in types])
    texts = {name: texts_of(column) for name, column in zip(present.schema.names, present.columns, strict=True)}
    absent = frozenset(columns) - texts.keys()
    converted = pa.RecordBatch.from_pydict({name: texts.get(name, pa.nulls(batch.num_rows, pa.string()))
                                            for name in columns})
    return RawBatch(path, np.full(batch.num_rows, -1), converted, absent=absent)


def texts_of(column: pa.Array) -> pa.Array:
    """Converts values to the texts of ``to_text``.

    Raises:
      UnicodeDecodeError: a value contains bytes that are not UTF-8.
    """
    if pa.types.is_string(column.type) or pa.types.is_integer(column.type):
        return column.cast(pa.string())
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "true", "false")
    if pa.types.is_float64(column.type):
        return _masked(column, column.fill_null(0).to_numpy(zero_copy_only=False).astype(str))
    if pa.types.is_date32(column.type):
        return _masked(column, np.datetime_as_string(_moments(column.cast(pa.timestamp("s"))).astype("M8[D]")))
    if pa.types.is_timestamp(column.type) and column.type.unit == "us" and column.type.tz in (None, "UTC"):
        return _masked(column, _iso_format(_moments(column), "+00:00" if column.type.tz else ""))
    return pa.array([to_text(value) for value in column.to_pylist()], pa.string())


def _moments(column: pa.Array) -> np.ndarray:
    moments: np.ndarray = column.cast(pa.timestamp(column.type.unit)).fill_null(0).to_numpy(zero_copy_only=False)
    return moments


def _iso_format(moments: np.ndarray, zone: str) -> np.ndarray:
    """Formats datetime64[us] [n] as ``datetime.isoformat`` does: with microseconds only where there are any."""
    has_fraction = moments.astype(np.int64) % 1_000_000 != 0
    texts = np.where(has_fraction, np.datetime_as_string(moments, "us"), np.datetime_as_string(moments, "s"))
    return np.char.add(texts, zone)


def _masked(column: pa.Array, texts: np.ndarray) -> pa.Array:
    return pa.array(texts, pa.string(), mask=column.is_null().to_numpy(zero_copy_only=False))
