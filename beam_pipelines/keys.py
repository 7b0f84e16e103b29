"""Keys that tell apart even impressions that are alike in every column."""

import numpy as np

from tfrs_pretrain.hashing import combine


def keys(hashes: np.ndarray) -> np.ndarray:
    """int64 [n] unique keys of ascending uint64 hashes: the n-th row of equal hash gets the n-th key of that hash."""
    number = np.arange(len(hashes))
    first = np.flatnonzero(np.diff(hashes.view(np.int64), prepend=~hashes[:1].view(np.int64)))
    occurrence = number - np.repeat(first, np.diff(np.append(first, len(hashes))))
    return combine(hashes, occurrence.astype(np.uint64)).view(np.int64)
