"""Protobuf's base-128 varints, many at a time.

Encoding: https://protobuf.dev/programming-guides/encoding/#varints. Each byte holds 7 bits, the lowest first; the high
bit is set in every byte but the last.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

MAX_VARINT_BYTES = 10


@dataclasses.dataclass(frozen=True)
class EqualLengthGroup:
    """Values whose encoded bytes have the same length.

    Attributes:
      indices: int64 [g] indices of the values.
      content: uint8 [g, length] encoded values.
    """

    indices: np.ndarray
    content: np.ndarray


def encode_varints(values: np.ndarray) -> Iterator[EqualLengthGroup]:
    """Encodes uint64 [n] values; yields them grouped by length in bytes."""
    bounds = np.uint64(1) << (np.uint64(7) * np.arange(1, MAX_VARINT_BYTES, dtype=np.uint64))
    sizes = np.searchsorted(bounds, values, "right") + 1
    for size in np.unique(sizes):
        indices = np.flatnonzero(sizes == size)
        shifts = np.uint64(7) * np.arange(size, dtype=np.uint64)
        content = ((values[indices, None] >> shifts) & np.uint64(0x7F)).astype(np.uint8)
        content[:, :-1] |= 0x80
        yield EqualLengthGroup(indices, content)


def decode_varints(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Decodes varints of known position and length.

    Args:
      data: uint8 [total bytes].
      starts: int64 [n] position of the first byte of each varint.
      sizes: int64 [n] length of each varint, 1 to 10 bytes.

    Returns:
      int64 [n] values; those of 2^63 and more wrap to negative numbers.
    """
    values = (data[starts] & 0x7F).astype(np.uint64)
    for place in range(1, int(sizes.max(initial=1))):
        longer = np.flatnonzero(sizes > place)
        values[longer] |= (data[starts[longer] + place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    signed: np.ndarray = values.view(np.int64)
    return signed
