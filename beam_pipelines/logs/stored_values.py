"""Converts columns of other Arrow types to the declared value type. A value that would change is a bad one."""

import functools
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.logs.text_values import needs_parsing, parse
from tfrs_pretrain.features.stored_types import is_any_list, is_text
from tfrs_pretrain.value_types import ARROW_TYPES

Conversion = Callable[[pa.Array], tuple[pa.Array, np.ndarray]]
# Integers of smaller magnitude are exact, by bits of a floating-point number; a larger one may be another id, rounded.
EXACT_BELOW = {16: 2**11, 32: 2**24, 64: 2**53}
WHOLE, NUMBERS = ("int64", "timestamp"), ("float32", "label")


def convert(column: pa.Array, value_type: str) -> tuple[pa.Array, np.ndarray] | None:
    """Converts a column; null stays null, and NaN is null where integers are declared.

    Args:
      column: values as read [n].
      value_type: see ``text_values.parse``.

    Returns:
      Values [n] of the declared type, null where one cannot be converted; and bool [n], true there. None if the column
      is stored as declared.
    """
    conversion = _conversion(column.type, value_type)
    return conversion(column) if conversion else None


def _conversion(stored: pa.DataType, value_type: str) -> Conversion | None:
    if pa.types.is_null(stored):
        return functools.partial(_nulls, value_type=value_type)
    if needs_parsing(stored, value_type):
        return functools.partial(parse, value_type=value_type)
    if value_type.endswith("]"):
        return _list_conversion(stored, value_type)
    return next((conversion for is_stored, value_types, conversion in CONVERSIONS
                 if value_type in value_types and is_stored(stored)), None)


def _nulls(column: pa.Array, value_type: str) -> tuple[pa.Array, np.ndarray]:
    dtype, is_list, _ = value_type.partition("[")
    arrow_type = {**ARROW_TYPES, "label": pa.float64(), "timestamp": pa.timestamp("us")}[dtype]
    return _all_good(pa.nulls(len(column), pa.list_(arrow_type) if is_list else arrow_type))


def _parse_other_texts(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    return parse(column.cast(pa.string()), "timestamp")


def _floats_to_integers(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    numbers = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column).cast(pa.float64())
    exact = pc.and_(pc.equal(numbers, pc.floor(numbers)), pc.less(pc.abs(numbers), EXACT_BELOW[column.type.bit_width]))
    return _with_bad(numbers, pc.if_else(exact, numbers, pa.scalar(None, pa.float64())).cast(pa.int64()))


def _decimals_to_integers(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    try:
        return _all_good(column.cast(pa.int64()))
    except pa.ArrowInvalid:
        values = [None if value is None or value != value.to_integral_value() or not -2**63 <= value < 2**63
                  else int(value) for value in column.to_pylist()]
        return _with_bad(column, pa.array(values, pa.int64()))


def _unsigned_to_integers(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    fits = pc.less(column, pa.scalar(2**63, pa.uint64()))
    return _with_bad(column, pc.if_else(fits, column, pa.scalar(None, pa.uint64())).cast(pa.int64()))


def _cast(column: pa.Array, to: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    return _all_good(column.cast(to))


def _list_conversion(stored: pa.DataType, value_type: str) -> Conversion | None:
    if not is_any_list(stored):
        return None
    dtype = value_type.partition("[")[0]
    has_offsets = pa.types.is_list(stored) or pa.types.is_large_list(stored)
    if has_offsets and not _conversion(stored.value_type, dtype):
        return None
    return functools.partial(_convert_lists, dtype=dtype)


def _convert_lists(column: pa.Array, dtype: str) -> tuple[pa.Array, np.ndarray]:
    """Converts the values of lists [n]; a list with a bad value is bad."""
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(column)
    values, bad_values = convert(flat, dtype) or _all_good(flat)
    bad = np.zeros(len(column), bool)
    bad[np.repeat(np.arange(len(column)), lengths)[bad_values]] = True
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    missing = column.is_null().to_numpy(zero_copy_only=False)
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array(bad | missing)), bad


def _all_good(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    return column, np.zeros(len(column), bool)


def _with_bad(known: pa.Array, converted: pa.Array) -> tuple[pa.Array, np.ndarray]:
    return converted, pc.and_(pc.is_valid(known), pc.is_null(converted)).to_numpy(zero_copy_only=False)


_to_text = functools.partial(_cast, to=pa.string())
_to_integer = functools.partial(_cast, to=pa.int64())
_to_number = functools.partial(_cast, to=pa.float64())
CONVERSIONS: tuple[tuple[Callable[[pa.DataType], bool], tuple[str, ...], Conversion], ...] = (
    (is_text, ("timestamp",), _parse_other_texts),
    (pa.types.is_string_view, ("string",), _to_text),
    (pa.types.is_integer, ("string",), _to_text),
    (pa.types.is_decimal, ("string",), _to_text),
    (pa.types.is_floating, WHOLE, _floats_to_integers),
    (pa.types.is_decimal, WHOLE, _decimals_to_integers),
    (pa.types.is_uint64, WHOLE, _unsigned_to_integers),
    (pa.types.is_decimal, NUMBERS, _to_number),
    (pa.types.is_boolean, ("int64",), _to_integer),
    (pa.types.is_boolean, ("float32",), _to_number),
)
"""Stored types, declared value types, conversion. The first that applies is used; other columns are as declared."""
