"""Parses tf.Example records into columns, many records at a time and without TensorFlow.

All records are parsed in lockstep: the n-th map entry of every record is read in one vectorized step. No Python loop
over records is needed as long as their columns have the same order, as in records of one writer.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from beam_pipelines.records.example_encoder import BYTES_LIST, FLOAT_LIST, INT64_LIST
from beam_pipelines.records.record_buffer import RecordBuffer, gather
from beam_pipelines.records.varints import MAX_VARINT_BYTES, decode_varints

DTYPES = {BYTES_LIST: "string", FLOAT_LIST: "float32", INT64_LIST: "int64"}
LENGTH_DELIMITED = 2


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of the records that contain it.

    Attributes:
      dtype: "int64", "float32" or "string".
      records: int64 [n] numbers of the records.
      lengths: int64 [n] number of values in each record.
      values: int64 or float32 [sum of lengths]; for strings uint8, the concatenated bytes of all values.
      sizes: int64 [n] bytes of each record's values.
    """

    dtype: str
    records: np.ndarray
    lengths: np.ndarray
    values: np.ndarray
    sizes: np.ndarray


class MalformedExampleError(ValueError):
    """Bytes are not a serialized tf.Example."""


def parse_examples(records: RecordBuffer) -> dict[str, list[Column]]:
    """Parses serialized tf.Examples.

    Returns:
      Column name -> parts of the column, one for each dtype and each position among the columns of a record.

    Raises:
      MalformedExampleError: a record is not a tf.Example with packed lists, as TensorFlow writes them.
    """
    reader = _Reader(records.data)
    numbers = np.flatnonzero(records.lengths)
    start, end = reader.delimited(records.offsets[:-1][numbers], records.offsets[1:][numbers], 1, fill=True)
    columns: dict[str, list[Column]] = {}
    while (unread := start < end).any():
        numbers, end = numbers[unread], end[unread]
        entry, start = reader.delimited(start[unread], end, 1)
        name, name_end = reader.delimited(entry, start, 1)
        feature, feature_end = reader.delimited(name_end, start, 2, fill=True)
        for text, indices in reader.group_by_text(name, name_end):
            for column in reader.feature_lists(numbers[indices], feature[indices], feature_end[indices]):
                columns.setdefault(text, []).append(column)
    return columns


class _Reader:
    """Reads protobuf's wire format at many positions at a time."""

    def __init__(self, data: np.ndarray):
        # Padding: a varint at the very end must not be read beyond the array.
        self._data = np.concatenate([data, np.zeros(MAX_VARINT_BYTES + 1, np.uint8)])

    def delimited(self, start: np.ndarray, limit: np.ndarray, field: int, *, fill: bool = False
                  ) -> tuple[np.ndarray, np.ndarray]:
        """Returns int64 [n] starts and ends of the contents of length-delimited fields.

        Args:
          start: int64 [n] position of each field's tag.
          limit: int64 [n] position that a field must not exceed.
          field: expected field number.
          fill: the content must end exactly at ``limit``.

        Raises:
          MalformedExampleError: another field, or the content ends elsewhere.
        """
        if (start >= limit).any() or (self._data[start] != (field << 3 | LENGTH_DELIMITED)).any():
            raise MalformedExampleError(f"expected field {field} of a tf.Example")
        size = np.ones(len(start), np.int64)
        while (more := self._data[start + size] >= 0x80).any():
            size += more
            if size.max() > MAX_VARINT_BYTES:
                raise MalformedExampleError("a length in a tf.Example has more than ten bytes")
        content = start + 1 + size
        end = content + decode_varints(self._data, start + 1, size)
        if (end < content).any() or (end > limit).any() or (fill and (end != limit).any()):
            raise MalformedExampleError(f"field {field} of a tf.Example ends in the wrong place")
        return content, end

    def group_by_text(self, start: np.ndarray, end: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yields each distinct text of the spans with the indices of the spans that contain it."""
        remaining = np.arange(len(start))
        while len(remaining):
            text = self._data[start[remaining[0]]:end[remaining[0]]]
            same = remaining[end[remaining] - start[remaining] == len(text)]
            same = same[(gather(self._data, start[same], len(text)) == text).all(axis=1)]
            yield text.tobytes().decode(errors="replace"), same
            remaining = np.setdiff1d(remaining, same, assume_unique=True)

    def feature_lists(self, numbers: np.ndarray, start: np.ndarray, end: np.ndarray) -> Iterator[Column]:
        """Yields the lists of the features at some positions, by dtype; a feature without a list has no dtype."""
        filled = start < end
        numbers, start, end = numbers[filled], start[filled], end[filled]
        tags = self._data[start]
        for tag in np.unique(tags):
            field, mask = int(tag) >> 3, tags == tag
            if field not in DTYPES:
                raise MalformedExampleError(f"a feature of a tf.Example has unknown field {field}")
            first, last = self.delimited(start[mask], end[mask], field, fill=True)
            read = self._strings if field == BYTES_LIST else self._floats if field == FLOAT_LIST else self._integers
            yield Column(DTYPES[field], numbers[mask], *read(first, last))

    # The readers of lists return lengths, values and sizes, see ``Column``.

    def _strings(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        lengths, sizes = np.zeros((2, len(start)), np.int64)
        spans = []
        start = start.copy()
        indices = np.flatnonzero(start < end)
        while len(indices):
            first, last = self.delimited(start[indices], end[indices], 1)
            spans.append(np.stack([indices, first, last]))
            lengths[indices] += 1
            sizes[indices] += last - first
            start[indices] = last
            indices = indices[last < end[indices]]
        if not spans:
            return lengths, np.empty(0, np.uint8), sizes
        order = np.concatenate(spans, axis=1)
        _, first, last = order[:, np.argsort(order[0], kind="stable")]
        return lengths, self._concatenate(first, last), sizes

    def _floats(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, last = self._packed(start, end)
        if ((last - first) % 4).any():
            raise MalformedExampleError("a list of floats in a tf.Example ends within a number")
        return (last - first) // 4, self._concatenate(first, last).view("<f4"), last - first

    def _integers(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, last = self._packed(start, end)
        if (self._data[last[first < last] - 1] >= 0x80).any():
            raise MalformedExampleError("a list of integers in a tf.Example ends within a number")
        data = self._concatenate(first, last)
        ends = np.flatnonzero(data < 0x80) + 1
        sizes = np.diff(ends, prepend=0)
        if len(sizes) and sizes.max() > MAX_VARINT_BYTES:
            raise MalformedExampleError("an integer in a tf.Example has more than ten bytes")
        numbers = np.searchsorted(ends, np.cumsum(last - first), "right")
        return np.diff(numbers, prepend=0), decode_varints(data, ends - sizes, sizes), last - first

    def _packed(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns starts and ends of packed numbers; an empty list has no field."""
        first, last = start.copy(), start.copy()
        filled = start < end
        first[filled], last[filled] = self.delimited(start[filled], end[filled], 1, fill=True)
        return first, last

    def _concatenate(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Returns uint8 [total bytes]: the concatenated spans."""
        sizes = end - start
        before = np.cumsum(sizes) - sizes
        return self._data[np.repeat(start - before, sizes) + np.arange(int(sizes.sum()))]
