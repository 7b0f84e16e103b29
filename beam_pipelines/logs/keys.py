"""Hashes of events, and keys that tell apart even impressions that are alike in every column."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.logs.lists import hash_lists
from tfrs_pretrain.hashing import combine, hash_ids
from tfrs_pretrain.schema import ITEM_ID, USER_ID, Feature

TIME = "@time"


def event_hash(batch: pa.RecordBatch, context: Iterable[Feature] = ()) -> np.ndarray:
    """uint64 [rows] of the columns that identify an event in a cleaned batch: user, item, time and context."""
    hashes = combine(combine(hash_ids(batch[USER_ID]), hash_ids(batch[ITEM_ID])), hash_ids(batch[TIME]))
    for feature in context:
        hashes = combine(hashes, _hash_values(batch[feature.name]))
    return hashes


def request_hash(users: pa.Array, requests: pa.Array) -> np.ndarray:
    """int64 [rows]: equal for the rows of one user and request, whatever column names the request."""
    return combine(hash_ids(users), hash_ids(pc.cast(requests, pa.string()))).view(np.int64)


def _hash_values(column: pa.Array) -> np.ndarray:
    if pa.types.is_list(column.type):
        return hash_lists(column)
    if pa.types.is_dictionary(column.type):
        # Null hashes as no value does; position -1 picks the appended entry.
        known = np.append(hash_ids(column.dictionary), np.uint64(0))
        return known[column.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    return hash_ids(nulls_to_nan(column).view(np.int32))


def nulls_to_nan(column: pa.Array) -> np.ndarray:
    """float32 [n] with NaN where null."""
    return column.fill_null(float("nan")).to_numpy(zero_copy_only=False)


def keys(hashes: np.ndarray) -> np.ndarray:
    """int64 [n] unique keys of ascending uint64 hashes: the n-th row of equal hash gets the n-th key of that hash."""
    number = np.arange(len(hashes))
    first = np.flatnonzero(np.diff(hashes.view(np.int64), prepend=~hashes[:1].view(np.int64)))
    occurrence = number - np.repeat(first, np.diff(np.append(first, len(hashes))))
    return combine(hashes, occurrence.astype(np.uint64)).view(np.int64)
