"""The bytes by which an id may be written, and their search in any file.

Only encodings of at least MIN_BYTES significant bytes are searched: shorter ones occur everywhere by accident. They are
compared as values, where a format has ids (see ``Kind.leaks``).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.hashing import hash_ids

MIN_BYTES, MIN_DIGITS = 6, 10
NUM_HASHES = 2**63 - 1  # of the served lookup of strings
# Bytes beside a text that make it another one: "item-1" is no part of "item-12".
NUMBER = frozenset(b"0123456789.")
WORD = frozenset(byte for byte in range(256) if byte >= 0x80 or chr(byte).isalnum()) | frozenset(b"_-")
BLOCK = 1 << 22


@dataclasses.dataclass(frozen=True)
class Encoding:
    """One encoding of one id.

    Attributes:
      name: name of the encoding.
      content: its bytes.
      others: bytes beside it that make it another text.
    """

    name: str
    content: bytes
    others: frozenset[int] = frozenset()


def encodings(ids: pa.Array) -> list[Encoding]:
    """Returns the encodings that are long enough to be searched, of all ids."""
    hashes = [Encoding("64-bit hash", int(value).to_bytes(8, "little")) for value in hash_ids(ids)]
    if pa.types.is_int64(ids.type):
        return hashes + [found for value in ids.to_pylist() for found in _of_int(value)]
    strong = tf.strings.to_hash_bucket_strong(tf.constant(ids.to_pylist()), NUM_HASHES, [0, 0]).numpy()
    hashes += [Encoding("hash of the served lookup", int(value).to_bytes(8, "little")) for value in strong]
    return hashes + [found for value in ids.to_pylist() for found in _of_text(value)]


def _of_int(value: int) -> list[Encoding]:
    found = []
    little, varint = value.to_bytes(8, "little", signed=True), _varint(value & (2**64 - 1))
    if len(little.rstrip(b"\xff" if value < 0 else b"\x00")) >= MIN_BYTES:
        found.append(Encoding("int64, little-endian", little))
    # All negative numbers have ten bytes, of which the last ones are alike.
    if len(varint) >= MIN_BYTES and not -2**35 < value < 0:
        found.append(Encoding("varint", varint))
    if len(str(abs(value))) >= MIN_DIGITS:
        found.append(Encoding("decimal text", str(value).encode(), NUMBER))
    return found


def _of_text(value: str) -> list[Encoding]:
    forms = {"UTF-8": value.encode(), "JSON": json.dumps(value)[1:-1].encode(),
             "JSON in UTF-8": json.dumps(value, ensure_ascii=False)[1:-1].encode()}
    distinct = {content: name for name, content in reversed(forms.items())}
    return [Encoding(name, content, NUMBER if value.isdecimal() else WORD) for content, name in distinct.items()
            if len(content) >= (MIN_DIGITS if value.isdecimal() else MIN_BYTES)]


def _varint(value: int) -> bytes:
    content = bytearray()
    while value >= 0x80:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*content, value])


class ByteSearch:
    """Searches many encodings at once: candidates by their first bytes, each then compared in full."""

    def __init__(self, wanted: Iterable[Encoding]):
        self._by_prefix: dict[int, list[Encoding]] = {}
        for encoding in wanted:
            self._by_prefix.setdefault(_prefix(encoding.content), []).append(encoding)
        self._prefixes = np.array(sorted(self._by_prefix), np.uint64)
        self._starts = np.zeros(1 << 16, bool)
        self._starts[(self._prefixes & np.uint64(0xFFFF)).astype(np.int64)] = True
        self._longest = max((len(each.content) for group in self._by_prefix.values() for each in group), default=0)

    def find(self, data: bytes | memoryview) -> list[tuple[int, Encoding]]:
        """Returns position and encoding of every occurrence."""
        data = memoryview(data)
        found = []
        for start in range(0, len(data), BLOCK):
            for position in self._candidates(data[start:start + BLOCK + MIN_BYTES - 1]):
                found += self._matches(data, start + position)
        return found

    def _candidates(self, block: memoryview) -> list[int]:
        array = np.frombuffer(block, np.uint8)
        if len(array) < MIN_BYTES or not len(self._prefixes):
            return []
        first = array[:-1].astype(np.uint16) | (array[1:].astype(np.uint16) << np.uint16(8))
        places = np.flatnonzero(self._starts[first[:len(array) - MIN_BYTES + 1]])
        prefixes = np.zeros(len(places), np.uint64)
        for byte in range(MIN_BYTES):
            prefixes |= array[places + byte].astype(np.uint64) << np.uint64(8 * byte)
        indices = np.minimum(np.searchsorted(self._prefixes, prefixes), len(self._prefixes) - 1)
        places_found: list[int] = places[self._prefixes[indices] == prefixes].tolist()
        return places_found

    def _matches(self, data: memoryview, position: int) -> list[tuple[int, Encoding]]:
        window = bytes(data[position:position + self._longest])
        return [(position, encoding) for encoding in self._by_prefix[_prefix(window)]
                if window.startswith(encoding.content) and _is_whole(data, position, encoding)]


def _is_whole(data: memoryview, position: int, encoding: Encoding) -> bool:
    """Whether no byte beside an occurrence makes it another text; a length before it, as in protobuf, does not."""
    size = len(encoding.content)
    before, after = bytes(data[max(position - 1, 0):position]), bytes(data[position + size:position + size + 1])
    return not ((before and before[0] in encoding.others and before[0] != size)
                or (after and after[0] in encoding.others))


def _prefix(content: bytes) -> int:
    return int.from_bytes(content[:MIN_BYTES], "little")
