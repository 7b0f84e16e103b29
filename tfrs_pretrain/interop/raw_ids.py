"""Raw ids in the forms that callers have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.value_types import ARROW_TYPES


def as_ids(ids: Any, dtype: str) -> tuple[pa.Array, tuple[int, ...]]:
    """Converts ids to the type of a vocabulary.

    Args:
      ids: one id, a sequence or array of any shape, or an Arrow array; None is a missing id.
      dtype: "int64" or "string".

    Returns:
      Arrow array [n], and the shape of ``ids``.

    Raises:
      UserError: an id is of another type.
    """
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    shape: tuple[int, ...] = (len(ids),) if isinstance(ids, pa.Array) else np.shape(ids)
    try:
        converted = _from_arrow(ids, dtype) if isinstance(ids, pa.Array) else _from_values(np.asarray(ids), ids, dtype)
    except (pa.ArrowException, TypeError) as error:
        raise _mismatch(ids, dtype) from error
    return converted, shape


def _from_arrow(ids: pa.Array, dtype: str) -> pa.Array:
    if pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_decode()
    # A cast alone would turn numbers into texts, and texts of digits into numbers.
    texts = pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type) or pa.types.is_string_view(ids.type)
    if not (pa.types.is_null(ids.type) or (texts if dtype == "string" else pa.types.is_integer(ids.type))):
        raise TypeError(f"ids are {ids.type}")
    return ids.cast(ARROW_TYPES[dtype])


def _from_values(array: np.ndarray, given: Any, dtype: str) -> pa.Array:
    if array.dtype.kind not in "iu":
        array = np.asarray(given, object)  # keeps None and the types of mixed values
    values = array.ravel()
    if array.dtype.kind == "O" and not all(_is_id(value, dtype) for value in values):
        raise TypeError(f"ids are not all {dtype}")
    return pa.array(values, ARROW_TYPES[dtype])


def parse_id(text: str, dtype: str) -> int | str:
    """Converts the text of a command line to an id.

    Raises:
      UserError: the text is no integer, but ids are integers.
    """
    if dtype == "string":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise UserError(f"id {text!r} is no integer, but the ids of this table are: correct it, or name another table "
                        "with --table") from error


def _is_id(value: Any, dtype: str) -> bool:
    kind = str if dtype == "string" else (int, np.integer)
    return value is None or (isinstance(value, kind) and not isinstance(value, bool))


def _mismatch(ids: Any, dtype: str) -> UserError:
    wanted = "strings" if dtype == "string" else "integers"
    first = np.ravel(np.asarray(ids.to_pylist() if isinstance(ids, pa.Array) else ids, object))[:1].tolist()
    return UserError(f"the ids of this table are {wanted} ({dtype}), received {str(first)[1:-1]}: convert the ids, or "
                     "name another table")
