"""Text to typed columns, value by value: what a value means never depends on others, a bad one costs its row alone."""

import json
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_pretrain.features.stored_types import is_text

INTEGER = r"^-?[0-9]{1,19}$"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
NOT_FINITE = r"^([Nn]a[Nn]|[+-]?[Ii]nf(inity)?)$"
TIMESTAMP = (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
             r"(Z|[+-][0-9]{2}:?[0-9]{2})?)?$")


def needs_parsing(stored: pa.DataType, kind: str) -> bool:
    """Whether a column of this type holds texts of another kind, see ``parse``."""
    if kind.endswith("]"):
        return is_text(stored)
    return kind != "string" and pa.types.is_string(stored)


def parse(column: pa.Array, kind: str) -> tuple[pa.Array, np.ndarray]:
    """Strings [n] as another kind; null stays null.

    Args:
      column: Arrow string array.
      kind: "string", "int64", "float32" (float64 until it is checked), "label" (a number, true or false) or
        "timestamp" (ISO 8601, UTC where no offset is given); "int64[]" or "string[]" is a JSON array of such values,
        "int64[|]" values with "|" between them, or any other separator.

    Returns:
      Typed array, null where a value cannot be parsed, and bool [n]: where that is so.
    """
    typed = _lists(column, kind) if kind.endswith("]") else PARSERS[kind](column)
    return typed, pc.and_(pc.is_valid(column), pc.is_null(typed)).to_numpy(zero_copy_only=False)


def _string(column: pa.Array) -> pa.Array:
    return column


def _integer(column: pa.Array) -> pa.Array:
    fits = _matching(column, INTEGER)
    try:
        return fits.cast(pa.int64())
    except pa.ArrowInvalid:
        # Nineteen digits may or may not be too large.
        values = [None if value is None or not -2**63 <= int(value) < 2**63 else int(value)
                  for value in fits.to_pylist()]
        return pa.array(values, pa.int64())


def _number(column: pa.Array) -> pa.Array:
    numbers = _matching(column, NUMBER).cast(pa.float64())
    not_finite = pc.match_substring_regex(column, NOT_FINITE)
    return pc.if_else(not_finite.fill_null(False), pa.scalar(math.nan, pa.float64()), numbers)


def _label(column: pa.Array) -> pa.Array:
    lower = pc.utf8_lower(column)
    for word, number in (("true", "1"), ("false", "0")):
        lower = pc.if_else(pc.equal(lower, word).fill_null(False), number, lower)
    return _number(lower)


def _timestamp(column: pa.Array) -> pa.Array:
    # BigQuery's exports name the zone.
    texts = _matching(pc.replace_substring_regex(column, r" UTC$", "Z"), TIMESTAMP)
    times = pd.to_datetime(pd.Series(texts.to_pylist(), dtype=object), format="ISO8601", utc=True, errors="coerce")
    return pa.array(times.dt.tz_localize(None).astype("datetime64[us]"), pa.timestamp("us"))


def _lists(column: pa.Array, kind: str) -> pa.Array:
    """Lists [n]; null where any value of a list cannot be parsed. An empty text is a missing value in its list."""
    dtype, _, separator = kind[:-1].partition("[")
    texts = pc.split_pattern(column.cast(pa.string()), separator) if separator else _json_arrays(column)
    flat = texts.flatten()
    values, unparsable = parse(pc.if_else(pc.equal(flat, ""), pa.scalar(None, flat.type), flat), dtype)
    lengths = pc.list_value_length(texts).fill_null(0).to_numpy(zero_copy_only=False)
    bad = texts.is_null().to_numpy(zero_copy_only=False).copy()
    bad[np.repeat(np.arange(len(texts)), lengths)[unparsable]] = True
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array(bad))


def _json_arrays(column: pa.Array) -> pa.Array:
    arrays = [_json_array(text) for text in column.to_pylist()]
    return pa.array(arrays, pa.list_(pa.string()))


def _json_array(text: str | None) -> list[str | None] | None:
    try:
        values = json.loads(text or "null")
    except ValueError:
        return None
    if not isinstance(values, list):
        return None
    return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]


def _matching(column: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(column, pattern), column, pa.scalar(None, column.type))


PARSERS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "string": _string, "int64": _integer, "float32": _number, "label": _label, "timestamp": _timestamp}
