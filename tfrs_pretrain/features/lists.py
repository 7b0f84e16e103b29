"""Columns of lists in Arrow batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_pretrain.hashing import combine, hash_ids, mix
from tfrs_pretrain.value_types import ARROW_TYPES, MISSING


def list_column(column: pa.Array, dtype: str, limit: int, *, latest: bool = False) -> pa.ListArray:
    """Lists [n] of raw values of a dtype, without nulls: the first ``limit`` values of each that are not missing.

    Args:
      column: Arrow list array [n] of strings or integers; null is an empty list.
      dtype: "int64" or "string".
      limit: maximum number of values in a list.
      latest: retains the last values, not the first.
    """
    lists = filled(column)
    values = lists.flatten()
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    values = values.cast(ARROW_TYPES[dtype]).fill_null(MISSING[dtype])
    present = pc.not_equal(values, pa.scalar(MISSING[dtype], values.type)).to_numpy(zero_copy_only=False)
    ends = lists.offsets.to_numpy() - lists.offsets[0].as_py()
    before = np.concatenate([[0], np.cumsum(present)])  # present values before each place
    owners = np.repeat(np.arange(len(lists)), np.diff(ends))
    others = before[ends[owners + 1]] - before[1:] if latest else before[:-1] - before[ends[owners]]
    kept = present & (others < limit)
    lengths = np.bincount(owners[kept], minlength=len(lists))
    return _lists(lengths, values.filter(pa.array(kept)))


def filled(column: pa.Array) -> pa.ListArray:
    """The same lists [n]; null becomes an empty list."""
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    return _lists(lengths, column.flatten())


def replace_list_values(column: pa.ListArray, values: Any) -> pa.ListArray:
    """Lists [n] of the same lengths with other values, one for each of ``column.flatten()``."""
    return _lists(pc.list_value_length(column).to_numpy(), pa.array(values))


def hash_lists(column: pa.Array) -> np.ndarray:
    """uint64 [n] hashes; lists of the same values in the same order have the same hash."""
    lists = filled(column)
    lengths = pc.list_value_length(lists).to_numpy().astype(np.int64)
    ends = np.cumsum(lengths)
    places = np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)
    hashes = combine(hash_ids(lists.flatten()), mix(places.astype(np.uint64)))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(hashes, dtype=np.uint64)])  # modulo 2^64
    return combine(sums[ends] - sums[ends - lengths], lengths.astype(np.uint64))


def _lists(lengths: np.ndarray, values: pa.Array) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
