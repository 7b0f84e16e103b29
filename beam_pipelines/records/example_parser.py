"""tf.Example records to columns, many records at a time and without TensorFlow: the way back from ``example.py``.

All records are parsed in lockstep: their n-th map entries are read together, without a loop over records as long as
these have the same columns in the same order, as records of one writer do.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from beam_pipelines.records.example_encoder import BYTES_LIST, FLOAT_LIST, INT64_LIST, RecordBuffer, gather

KINDS = {BYTES_LIST: "string", FLOAT_LIST: "float32", INT64_LIST: "int64"}
DELIMITED = 2
MAX_VARINT_BYTES = 10


@dataclasses.dataclass(frozen=True)
class Column:
    """One column in those records that have it.

    Attributes:
      kind: "int64", "float32" or "string".
      records: int64 [n] numbers of the records.
      lengths: int64 [n] values in each record.
      values: int64 or float32 [sum of lengths]; for strings uint8, the bytes of all values in a row.
      sizes: int64 [n] bytes of each record's values.
    """

    kind: str
    records: np.ndarray
    lengths: np.ndarray
    values: np.ndarray
    sizes: np.ndarray


class MalformedExampleError(ValueError):
    """Bytes that are no tf.Example."""


def parse_examples(records: RecordBuffer) -> dict[str, list[Column]]:
    """Name -> parts of a column: one for each kind and place among the columns in which it occurs.

    Raises:
      MalformedExampleError: a record is no tf.Example with packed lists, as TensorFlow writes them.
    """
    reader = _Reader(records.data)
    numbers = np.flatnonzero(records.lengths)
    start, end = reader.delimited(records.offsets[:-1][numbers], records.offsets[1:][numbers], 1, whole=True)
    columns: dict[str, list[Column]] = {}
    while (left := start < end).any():
        numbers, end = numbers[left], end[left]
        entry, start = reader.delimited(start[left], end, 1)
        name, name_end = reader.delimited(entry, start, 1)
        feature, feature_end = reader.delimited(name_end, start, 2, whole=True)
        for text, rows in reader.alike(name, name_end):
            for column in reader.lists(numbers[rows], feature[rows], feature_end[rows]):
                columns.setdefault(text, []).append(column)
    return columns


class _Reader:
    """Protobuf's wire format at many positions at a time."""

    def __init__(self, data: np.ndarray):
        # A number at the very end is read through a window that must not leave the array.
        self._data = np.concatenate([data, np.zeros(MAX_VARINT_BYTES + 1, np.uint8)])

    def delimited(self, start: np.ndarray, limit: np.ndarray, field: int, *, whole: bool = False
                  ) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the contents of length-delimited fields beginning at ``start``; ``whole``: ending at ``limit``."""
        if (start >= limit).any() or (self._data[start] != (field << 3 | DELIMITED)).any():
            raise MalformedExampleError(f"expected field {field} of a tf.Example")
        size = np.ones(len(start), np.int64)
        while (more := self._data[start + size] >= 0x80).any():
            size += more
            if size.max() > MAX_VARINT_BYTES:
                raise MalformedExampleError("a length in a tf.Example has more than ten bytes")
        content = start + 1 + size
        end = content + _varints(self._data, start + 1, size)
        if (end < content).any() or (end > limit).any() or (whole and (end != limit).any()):
            raise MalformedExampleError(f"field {field} of a tf.Example ends in the wrong place")
        return content, end

    def alike(self, start: np.ndarray, end: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Text -> places of the spans that hold it."""
        left = np.arange(len(start))
        while len(left):
            text = self._data[start[left[0]]:end[left[0]]]
            same = left[end[left] - start[left] == len(text)]
            same = same[(gather(self._data, start[same], len(text)) == text).all(axis=1)]
            yield text.tobytes().decode(errors="replace"), same
            left = np.setdiff1d(left, same, assume_unique=True)

    def lists(self, numbers: np.ndarray, start: np.ndarray, end: np.ndarray) -> Iterator[Column]:
        """The lists of the features at some positions, by kind; a feature without any list has no kind."""
        filled = start < end
        numbers, start, end = numbers[filled], start[filled], end[filled]
        tags = self._data[start]
        for tag in np.unique(tags):
            field, rows = int(tag) >> 3, tags == tag
            if field not in KINDS:
                raise MalformedExampleError(f"a feature of a tf.Example has unknown field {field}")
            first, last = self.delimited(start[rows], end[rows], field, whole=True)
            read = self._strings if field == BYTES_LIST else self._floats if field == FLOAT_LIST else self._integers
            yield Column(KINDS[field], numbers[rows], *read(first, last))

    def _strings(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        lengths, sizes = np.zeros((2, len(start)), np.int64)
        spans = []
        rows = np.flatnonzero(start < end)
        while len(rows):
            first, last = self.delimited(start[rows], end[rows], 1)
            spans.append(np.stack([rows, first, last]))
            lengths[rows] += 1
            sizes[rows] += last - first
            start = start.copy()
            start[rows] = last
            rows = rows[last < end[rows]]
        if not spans:
            return lengths, np.empty(0, np.uint8), sizes
        order = np.concatenate(spans, axis=1)
        _, first, last = order[:, np.argsort(order[0], kind="stable")]
        return lengths, self._joined(first, last), sizes

    def _floats(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, last = self._packed(start, end)
        if ((last - first) % 4).any():
            raise MalformedExampleError("a list of floats in a tf.Example ends within a number")
        return (last - first) // 4, self._joined(first, last).view("<f4"), last - first

    def _integers(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, last = self._packed(start, end)
        if (self._data[last[first < last] - 1] >= 0x80).any():
            raise MalformedExampleError("a list of integers in a tf.Example ends within a number")
        data = self._joined(first, last)
        ends = np.flatnonzero(data < 0x80) + 1
        sizes = np.diff(ends, prepend=0)
        if len(sizes) and sizes.max() > MAX_VARINT_BYTES:
            raise MalformedExampleError("an integer in a tf.Example has more than ten bytes")
        numbers = np.searchsorted(ends, np.cumsum(last - first), "right")
        return np.diff(numbers, prepend=0), _varints(data, ends - sizes, sizes), last - first

    def _packed(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of packed numbers; an empty list has no field at all."""
        first, last = start.copy(), start.copy()
        filled = start < end
        first[filled], last[filled] = self.delimited(start[filled], end[filled], 1, whole=True)
        return first, last

    def _joined(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """uint8: the spans one after another."""
        sizes = end - start
        before = np.cumsum(sizes) - sizes
        return self._data[np.repeat(start - before, sizes) + np.arange(int(sizes.sum()))]


def _varints(data: np.ndarray, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    """int64 [n] values of base-128 numbers of known sizes."""
    values = (data[start] & 0x7F).astype(np.uint64)
    for place in range(1, int(size.max(initial=1))):
        longer = np.flatnonzero(size > place)
        values[longer] |= (data[start[longer] + place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    return values.view(np.int64)
