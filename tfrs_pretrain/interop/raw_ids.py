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
    shape: tuple[int, ...] = (len(ids),)
    if not isinstance(ids, pa.Array):
        array = np.asarray(ids)
        if array.dtype.kind not in "iu":
            array = np.asarray(ids, object)  # keeps None, and texts of different lengths
        ids, shape = array.ravel(), array.shape
        if array.dtype.kind == "O" and not all(_is_id(value, dtype) for value in ids):
            raise _mismatch(ids, dtype)
    try:
        converted = pa.array(ids, ARROW_TYPES[dtype]) if isinstance(ids, np.ndarray) else ids.cast(ARROW_TYPES[dtype])
    except (pa.ArrowException, TypeError) as error:
        raise _mismatch(ids, dtype) from error
    return converted, shape


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
    return UserError(f"the ids of this table are {wanted} ({dtype}), received {str(ids[:1].tolist())[1:-1]}: convert "
                     "the ids, or name another table")
