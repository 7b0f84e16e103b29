"""Batches of rejected rows."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from beam_pipelines.sources import RawBatch

REJECTED_SCHEMA = pa.schema([("reason", pa.string()), ("file", pa.string()), ("position", pa.int64()),
                             ("values", pa.string())])

MAX_CHARACTERS = 1 << 16  # of the values of a rejected row


def rejected_batch(reasons: list[str], files: str | list[str], positions: list[int], values: list[str]
                   ) -> pa.RecordBatch:
    """Creates a batch of REJECTED_SCHEMA from n rows; negative positions become null, long values are cut off."""
    files = [files] * len(reasons) if isinstance(files, str) else files
    known = [None if position < 0 else position for position in positions]
    shown = [value if len(value) <= MAX_CHARACTERS else f"{value[:MAX_CHARACTERS]}…" for value in values]
    return pa.RecordBatch.from_arrays([pa.array(column, field.type) for column, field in zip(
        (reasons, files, known, shown), REJECTED_SCHEMA, strict=True)], schema=REJECTED_SCHEMA)


def select_rejected(raw: RawBatch, reasons: np.ndarray) -> pa.RecordBatch:
    """Selects the rows of a raw batch that were rejected, and its malformed rows.

    Args:
      raw: n rows as read.
      reasons: object [n], None for good rows.
    """
    places = np.flatnonzero(reasons != None)  # noqa: E711
    rows = to_json_lines(_to_rows(raw.columns.take(pa.array(places))))
    return rejected_batch([*reasons[places], *(row.reason for row in raw.malformed)], raw.path,
                          [*raw.positions[places].tolist(), *(row.position for row in raw.malformed)],
                          [*rows, *(row.text for row in raw.malformed)])


def _to_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    columns = [[_to_value(value) for value in column] for column in batch.columns]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _to_value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        # Python has no dates and times outside the years 1 to 9999: the number that is stored.
        return scalar.value


def to_json_lines(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Converts rows to JSON text; values without a JSON type, such as dates, are converted to strings."""
    return [json.dumps(row, default=str, ensure_ascii=False) for row in rows]
