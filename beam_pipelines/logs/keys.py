"""Hashes of events, and unique keys of impressions."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.hashing import combine, hash_ids
from tfrs_pretrain.schema import ITEM_ID, USER_ID

TIME = "@time"
END = "@end"  # the latest time at which an event may have happened, see ``times``; in the log of histories only


def event_hash(batch: pa.RecordBatch, context_features: Iterable[Feature] = ()) -> np.ndarray:
    """Hashes the columns that identify an event in a cleaned batch: user, item, time and context features.

    Returns:
      uint64 [n].
    """
    hashes = combine(combine(hash_ids(batch[USER_ID]), hash_ids(batch[ITEM_ID])), hash_ids(batch[TIME]))
    for feature in context_features:
        hashes = combine(hashes, feature.hash_values(batch[feature.name]))
    return hashes


def request_hash(users: pa.Array, requests: pa.Array) -> np.ndarray:
    """Hashes user and request, independent of the type of the request column.

    Returns:
      int64 [n], equal for the rows of one user and request.
    """
    hashes: np.ndarray = combine(hash_ids(users), hash_ids(pc.cast(requests, pa.string()))).view(np.int64)
    return hashes


def unique_keys(hashes: np.ndarray) -> np.ndarray:
    """Converts uint64 [n] hashes, ascending, to int64 [n] unique keys: also rows of equal hash get different keys."""
    number = np.arange(len(hashes))
    first = np.flatnonzero(np.diff(hashes.view(np.int64), prepend=~hashes[:1].view(np.int64)))
    occurrence = number - np.repeat(first, np.diff(np.append(first, len(hashes))))
    keys: np.ndarray = combine(hashes, occurrence.astype(np.uint64)).view(np.int64)
    return keys
