"""Arrow arrays of ids, and their limits."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_pretrain.errors import UserError

MAX_TEXT_BYTES = 2**31 - 1  # an Arrow string array has 32-bit offsets
MAX_ROWS = 2**31  # records contain rows as int32


def require_int32_rows(num_rows: int) -> None:
    """Checks that records can contain all rows.

    Raises:
      UserError: there are more than MAX_ROWS.
    """
    if num_rows > MAX_ROWS:
        raise UserError(f"its ids need {num_rows} rows, and records contain rows below {MAX_ROWS}: raise min_count or "
                        "set max_size")


def single_array(ids: pa.ChunkedArray) -> pa.Array:
    """Concatenates the chunks of ids; texts become an array of type string.

    Raises:
      UserError: they have more than MAX_TEXT_BYTES of text.
    """
    if text_bytes(ids) > MAX_TEXT_BYTES:
        raise UserError(f"{len(ids)} string ids have {text_bytes(ids)} bytes of text, and one vocabulary contains at "
                        f"most {MAX_TEXT_BYTES}: raise min_count, set max_size, or use int64 ids")
    return (ids.cast(pa.string()) if pa.types.is_large_string(ids.type) else ids).combine_chunks()


def sortable(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns ids of a type that can be sorted or taken, which gathers the ids of all chunks in one array."""
    return ids.cast(pa.large_string()) if text_bytes(ids) > MAX_TEXT_BYTES else ids


def text_bytes(ids: pa.Array | pa.ChunkedArray) -> int:
    """Returns the size of string ids without their offsets; 0 for int64."""
    if pa.types.is_int64(ids.type):
        return 0
    return int(pc.sum(pc.binary_length(ids)).as_py() or 0)


def utf8_bytes(ids: pa.Array) -> memoryview:
    """Returns the concatenated texts of string ids without nulls, not copied."""
    _, offsets, data = ids.buffers()
    bounds = np.frombuffer(offsets, np.int32)[[ids.offset, ids.offset + len(ids)]] if len(ids) else (0, 0)
    return memoryview(data if data else b"")[bounds[0]:bounds[1]]
