"""A check of a declared feature whose kind is not one of this package, before any job runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.features.registry import BUILT_IN_KINDS
from tfrs_pretrain.own_code import FEATURES, entry_point_names, plug_in, reason
from tfrs_pretrain.value_types import ARROW_TYPES

_ROWS = 3


def check_own_feature(feature: Feature) -> None:
    """Passes a few missing values through the methods of a kind; built-in kinds are not checked.

    Raises:
      UserError: a method fails, or returns values of another number or type.
    """
    if feature.kind in BUILT_IN_KINDS:
        return
    try:
        problem = next(_problems(feature), None)
    except Exception as error:  # the user's code may raise anything
        problem = f"fails for missing values ({reason(error)})"
    if problem:
        source = (plug_in(FEATURES, feature.kind).title if feature.kind in entry_point_names(FEATURES)
                  else f"feature kind {type(feature).__qualname__}")
        raise UserError(f"feature {feature.name!r}: {source} {problem}")


def _problems(feature: Feature) -> Any:
    missing = pa.concat_arrays([feature.raw_input.to_arrow(feature.raw_input.missing())] * _ROWS)
    cleaned = feature.clean(missing)
    yield from _differences("clean", cleaned, isinstance(cleaned, pa.Array), "an Arrow array")
    if not feature.clean(cleaned).equals(cleaned):
        yield "changes values that clean has returned: clean applied twice must equal clean applied once"
    hashes = feature.hash_values(cleaned)
    yield from _differences("hash_values", hashes, getattr(hashes, "dtype", None) == np.uint64, "uint64")
    golden = feature.golden_values(cleaned)
    yield from _differences("golden_values", golden, isinstance(golden, pa.Array), "an Arrow array")
    if feature.vocabulary:
        counted, expected = feature.counted_values(cleaned), ARROW_TYPES[feature.vocabulary.dtype]
        if not isinstance(counted, pa.Array) or counted.type != expected or counted.null_count:
            yield f"returns {_described(counted)} from counted_values, expected {expected} without nulls"
    if feature.has_moments:
        moments = feature.moment_values(cleaned)
        yield from _differences("moment_values", moments, getattr(moments, "dtype", None) == np.float32, "float32")
    records = feature.record_values(cleaned, lambda _, values: np.zeros(len(values), np.int64))
    expected = feature.record_column.arrow_type
    yield from _differences("record_values", records, pa.array(records).type == expected, str(expected))


def _differences(method: str, found: Any, is_right_type: bool, expected: str) -> Any:
    if not is_right_type or len(found) != _ROWS:
        yield f"returns {_described(found)} from {method} for {_ROWS} values, expected {_ROWS} of {expected}"


def _described(found: Any) -> str:
    dtype = getattr(found, "type", getattr(found, "dtype", type(found).__name__))
    return f"{len(found)} of {dtype}" if hasattr(found, "__len__") else str(dtype)
