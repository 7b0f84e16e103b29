"""Arrow arrays of ids, and their limits."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_pretrain.errors import UserError

MAX_TEXT_BYTES = 2**31 - 1  # of an Arrow array of strings, whose offsets have 32 bits; large strings have no limit
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
    """Concatenates the chunks of ids; texts become strings, or large strings if they have more than MAX_TEXT_BYTES."""
    if pa.types.is_int64(ids.type):
        return ids.combine_chunks()
    return ids.cast(text_type(text_bytes(ids))).combine_chunks()


def text_type(num_bytes: int) -> pa.DataType:
    """Returns the type of one array of texts of this size: strings, or large strings."""
    return pa.large_string() if num_bytes > MAX_TEXT_BYTES else pa.string()


def joined(*arrays: pa.Array) -> pa.ChunkedArray:
    """Joins arrays of ids; texts become large strings, because all together may have more than MAX_TEXT_BYTES."""
    is_int = pa.types.is_int64(arrays[0].type)
    return pa.chunked_array(arrays if is_int else [array.cast(pa.large_string()) for array in arrays])


def of_one_type(first: pa.Array, second: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Returns two arrays of ids as one type: large strings if only one of them is."""
    if first.type == second.type:
        return first, second
    return first.cast(pa.large_string()), second.cast(pa.large_string())


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
    width = np.int64 if pa.types.is_large_string(ids.type) else np.int32
    bounds = np.frombuffer(offsets, width)[[ids.offset, ids.offset + len(ids)]] if len(ids) else (0, 0)
    return memoryview(data if data else b"")[bounds[0]:bounds[1]]
