"""Columns of single values in Arrow batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tfrs_pretrain.hashing import hash_ids


def nulls_to_nan(column: pa.Array) -> np.ndarray:
    """float32 [n] with NaN where null."""
    values: np.ndarray = column.fill_null(float("nan")).to_numpy(zero_copy_only=False)
    return values


def hash_dictionary(column: pa.DictionaryArray) -> np.ndarray:
    """uint64 [n] hashes of the values; null has the hash 0, which no value has by design."""
    # Index -1 picks the appended entry.
    hashes = np.append(hash_ids(column.dictionary), np.uint64(0))
    indices: np.ndarray = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    looked_up: np.ndarray = hashes[indices]
    return looked_up


def compact_dictionary(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same values with a dictionary no longer than the column; a join with a large table makes long ones."""
    if len(column.dictionary) <= len(column):
        return column
    return column.dictionary_decode().dictionary_encode()
