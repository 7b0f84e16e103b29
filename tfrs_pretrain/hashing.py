"""The 64-bit hash of ids that decides out-of-vocabulary rows, shards, samples and the held-out split.

numpy (Beam, training) and TensorFlow's stock integer operations (the served graph) must compute the same value, which
rules out library hashes. Integers go through the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014); strings
are first reduced to a polynomial in their UTF-8 bytes modulo 2^64. The hash spreads ids evenly; it does not protect
against ids chosen to collide.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

GOLDEN = 0x9E3779B97F4A7C15
MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
LAST_SHIFT = 31
STRING_BASE = 0x100000001B3


def hash_ids(ids: np.ndarray | pa.Array, salt: int = 0) -> np.ndarray:
    """Hashes ids.

    Args:
      ids: integers [n] of any width or booleans, or strings [n], as a numpy or Arrow array.
      salt: selects one of many independent hashes.

    Returns:
      uint64 [n].

    Raises:
      TypeError: ids are neither integers nor strings.
    """
    if isinstance(ids, pa.Array | pa.ChunkedArray):
        if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
            ids = ids.to_numpy(zero_copy_only=False)
    elif ids.dtype.kind in "OU":
        ids = pa.array(ids, pa.large_string())
    elif ids.dtype.kind == "T":
        ids = pa.array(ids.tolist(), pa.large_string())
    if isinstance(ids, np.ndarray):
        if ids.dtype.kind not in "iub":
            raise TypeError(f"ids to hash must be integers or strings, not {ids.dtype}")
        return mix(ids.astype(np.int64).view(np.uint64) + _salt(salt))
    return mix(_polynomial(ids) + _salt(salt))


def combine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Hashes pairs of hashes to uint64 [n]; the order of the two matters."""
    return mix(first * np.uint64(GOLDEN) + second)


def fraction(hashes: np.ndarray) -> np.ndarray:
    """Converts hashes to float64 [n] in [0, 1) by their top 53 bits."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def mix(values: np.ndarray) -> np.ndarray:
    """Applies SplitMix64, a bijection of uint64 in which every input bit affects every output bit."""
    mixed = values + np.uint64(GOLDEN)
    for shift, factor in MIX:
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(LAST_SHIFT))


def _salt(salt: int) -> np.uint64:
    return np.uint64(salt * GOLDEN & 0xFFFFFFFFFFFFFFFF)


def _polynomial(strings: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """length + sum over bytes b_i of (b_i + 1) * base^i, modulo 2^64; null counts as the empty string."""
    if isinstance(strings, pa.ChunkedArray):
        strings = strings.combine_chunks()
    strings = strings.cast(pa.large_string()).fill_null("")
    offsets = np.frombuffer(strings.buffers()[1], np.int64)[strings.offset:strings.offset + len(strings) + 1]
    lengths = np.diff(offsets)
    total = int(lengths.sum())
    hashes = lengths.astype(np.uint64)
    if total == 0:
        return hashes
    data = np.frombuffer(strings.buffers()[2], np.uint8)[offsets[0]:offsets[-1]]
    position = np.arange(total) - np.repeat(offsets[:-1] - offsets[0], lengths)
    powers = np.cumprod(np.concatenate([[1], np.full(int(lengths.max()) - 1, STRING_BASE)]).astype(np.uint64))
    terms = (data.astype(np.uint64) + np.uint64(1)) * powers[position]
    filled = lengths > 0
    hashes[filled] += np.add.reduceat(terms, (offsets[:-1] - offsets[0])[filled])
    return hashes
