"""Parses text columns value by value: no value depends on the others, and a bad value affects its own row only."""

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


def needs_parsing(stored: pa.DataType, value_type: str) -> bool:
    """Returns whether a column of an Arrow type contains texts of another value type, see ``parse``."""
    if value_type.endswith("]"):
        return is_text(stored)
    return value_type != "string" and bool(pa.types.is_string(stored))


def parse(column: pa.Array, value_type: str) -> tuple[pa.Array, np.ndarray]:
    """Parses texts; null stays null.

    Args:
      column: Arrow string array [n].
      value_type: "string"; "int64"; "float32" (returned as float64); "label" (a number, true or false); "timestamp"
        (ISO 8601, UTC without an offset); "int64[]" or "string[]": a JSON array of such values; "int64[|]": values
        separated by "|", or by any other separator.

    Returns:
      Typed array [n], null where a text cannot be parsed; and bool [n], true where a text cannot be parsed.
    """
    typed = _parse_lists(column, value_type) if value_type.endswith("]") else PARSERS[value_type](column)
    return typed, pc.and_(pc.is_valid(column), pc.is_null(typed)).to_numpy(zero_copy_only=False)


def _keep_text(column: pa.Array) -> pa.Array:
    return column


def _parse_integers(column: pa.Array) -> pa.Array:
    matching = _keep_matching(column, INTEGER)
    try:
        return matching.cast(pa.int64())
    except pa.ArrowInvalid:
        # A number of 19 digits may exceed int64.
        values = [None if value is None or not -2**63 <= int(value) < 2**63 else int(value)
                  for value in matching.to_pylist()]
        return pa.array(values, pa.int64())


def _parse_numbers(column: pa.Array) -> pa.Array:
    numbers = _keep_matching(column, NUMBER).cast(pa.float64())
    not_finite = pc.match_substring_regex(column, NOT_FINITE)
    return pc.if_else(not_finite.fill_null(False), pa.scalar(math.nan, pa.float64()), numbers)


def _parse_labels(column: pa.Array) -> pa.Array:
    lower = pc.utf8_lower(column)
    for word, number in (("true", "1"), ("false", "0")):
        lower = pc.if_else(pc.equal(lower, word).fill_null(False), number, lower)
    return _parse_numbers(lower)


def _parse_timestamps(column: pa.Array) -> pa.Array:
    # Exports of BigQuery name the time zone.
    texts = _keep_matching(pc.replace_substring_regex(column, r" UTC$", "Z"), TIMESTAMP)
    times = pd.to_datetime(pd.Series(texts.to_pylist(), dtype=object), format="ISO8601", utc=True, errors="coerce")
    return pa.array(times.dt.tz_localize(None).astype("datetime64[us]"), pa.timestamp("us"))


def _parse_lists(column: pa.Array, value_type: str) -> pa.Array:
    """Parses lists [n]; null if any value of the list cannot be parsed. An empty text is a missing value."""
    dtype, _, separator = value_type[:-1].partition("[")
    texts = pc.split_pattern(column.cast(pa.string()), separator) if separator else _parse_json_arrays(column)
    flat = texts.flatten()
    values, unparsable = parse(pc.if_else(pc.equal(flat, ""), pa.scalar(None, flat.type), flat), dtype)
    lengths = pc.list_value_length(texts).fill_null(0).to_numpy(zero_copy_only=False)
    bad = texts.is_null().to_numpy(zero_copy_only=False).copy()
    bad[np.repeat(np.arange(len(texts)), lengths)[unparsable]] = True
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array(bad))


def _parse_json_arrays(column: pa.Array) -> pa.Array:
    arrays = [_parse_json_array(text) for text in column.to_pylist()]
    return pa.array(arrays, pa.list_(pa.string()))


def _parse_json_array(text: str | None) -> list[str | None] | None:
    try:
        values = json.loads(text or "null")
        if not isinstance(values, list):
            return None
        texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        "".join(filter(None, texts)).encode()  # an escape may be half of a surrogate pair
    except (ValueError, RecursionError):
        return None
    return texts


def _keep_matching(column: pa.Array, pattern: str) -> pa.Array:
    """Replaces texts that do not match a pattern with null."""
    return pc.if_else(pc.match_substring_regex(column, pattern), column, pa.scalar(None, column.type))


PARSERS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "string": _keep_text, "int64": _parse_integers, "float32": _parse_numbers, "label": _parse_labels,
    "timestamp": _parse_timestamps}
