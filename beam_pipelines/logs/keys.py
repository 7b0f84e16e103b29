"""Hashes of events, and keys that tell apart even impressions that are alike in every column."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.hashing import combine, hash_ids
from tfrs_pretrain.schema import ITEM_ID, USER_ID

TIME = "@time"


def event_hash(batch: pa.RecordBatch, context: Iterable[Feature] = ()) -> np.ndarray:
    """uint64 [rows] of the columns that identify an event in a cleaned batch: user, item, time and context."""
    hashes = combine(combine(hash_ids(batch[USER_ID]), hash_ids(batch[ITEM_ID])), hash_ids(batch[TIME]))
    for feature in context:
        hashes = combine(hashes, feature.hash_values(batch[feature.name]))
    return hashes


def request_hash(users: pa.Array, requests: pa.Array) -> np.ndarray:
    """int64 [rows]: equal for the rows of one user and request, whatever column names the request."""
    return combine(hash_ids(users), hash_ids(pc.cast(requests, pa.string()))).view(np.int64)


def keys(hashes: np.ndarray) -> np.ndarray:
    """int64 [n] unique keys of ascending uint64 hashes: the n-th row of equal hash gets the n-th key of that hash."""
    number = np.arange(len(hashes))
    first = np.flatnonzero(np.diff(hashes.view(np.int64), prepend=~hashes[:1].view(np.int64)))
    occurrence = number - np.repeat(first, np.diff(np.append(first, len(hashes))))
    return combine(hashes, occurrence.astype(np.uint64)).view(np.int64)
