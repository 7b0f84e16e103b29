"""tf.Example records from columns, a batch at a time.

The bytes equal ``tf.train.Example.SerializeToString(deterministic=True)``. Message layout (tensorflow/core/example):
``Example{1: Features{1: map<string, Feature>}}``, ``Feature{1: BytesList, 2: FloatList, 3: Int64List}``, each list
``{1: values}``, packed for numbers. Deterministic serialisation orders the map by key; Python's protobuf puts
``user_id`` before ``user``, which it begins with.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3
AFTER_ALL = b"\xff"  # greater than any byte of UTF-8, so that a name follows the longer names that it begins


@dataclasses.dataclass(frozen=True)
class RecordBuffer:
    """Byte strings one after another.

    Attributes:
      data: uint8 [total bytes].
      offsets: int64 [n + 1]; record i is ``data[offsets[i]:offsets[i + 1]]``.
    """

    data: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    @classmethod
    def of_lengths(cls, lengths: np.ndarray) -> "RecordBuffer":
        """Unfilled records."""
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(np.empty(offsets[-1], np.uint8), offsets)


@dataclasses.dataclass(frozen=True)
class Group:
    """Rows whose bytes for one field have the same length: int64 [g] rows and uint8 [g, length] bytes."""

    rows: np.ndarray
    content: np.ndarray


def encode_examples(columns: dict[str, pa.Array]) -> RecordBuffer:
    """One tf.Example per row, one value per column, or as many as a list holds.

    Args:
      columns: name -> Arrow int64, float32, string, binary or list of int64 array [n] without nulls; at least one.

    Raises:
      ValueError: a column has nulls, another length or another type.
    """
    count = len(next(iter(columns.values())))
    for name, column in columns.items():
        if column.null_count or len(column) != count:
            raise ValueError(f"column {name!r} has {column.null_count} nulls and {len(column)} of {count} values")
    ordered = sorted(columns.items(), key=lambda item: item[0].encode() + AFTER_ALL)
    entries = [list(_map_entry(name.encode(), column)) for name, column in ordered]
    lengths = np.stack([_lengths(groups, count) for groups in entries])
    header = list(_tagged_lengths(lengths.sum(axis=0)))
    lengths = np.concatenate([_lengths(header, count)[None], lengths])
    records = RecordBuffer.of_lengths(lengths.sum(axis=0))
    starts = records.offsets[:-1] + np.cumsum(lengths, axis=0) - lengths
    for start, groups in zip(starts, [header, *entries], strict=True):
        for group in groups:
            scatter(records.data, start[group.rows], group.content)
    return records


def scatter(target: np.ndarray, starts: np.ndarray, content: np.ndarray) -> None:
    """``target[start:start + width] = row`` for each row of uint8 [n, width]: one copy a row, not one a byte."""
    width = content.shape[1]
    if width and len(starts):
        windows: np.ndarray = np.ndarray(len(target) - width + 1, f"V{width}", target, strides=(1,))
        windows[starts] = np.ascontiguousarray(content).view(f"V{width}")[:, 0]


def gather(source: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """uint8 [n, width]: ``source[start:start + width]`` for each start."""
    if not width or not len(starts):
        return np.empty((len(starts), width), np.uint8)
    windows: np.ndarray = np.ndarray(len(source) - width + 1, f"V{width}", source, strides=(1,))
    return windows[starts].view(np.uint8).reshape(len(starts), width)


def _map_entry(name: bytes, column: pa.Array) -> Iterator[Group]:
    """Bytes of one map entry for each row, grouped by length of the value."""
    field, groups = _values(column)
    for group in groups:
        width = group.content.shape[1]
        # Packed numbers are left out where there are none; a byte string is there even if it is empty.
        value = _prefix(1, width) if width or field == BYTES_LIST else b""
        feature = _prefix(field, len(value) + width) + value
        entry = _prefix(1, len(name)) + name + _prefix(2, len(feature) + width) + feature
        before = np.frombuffer(_prefix(1, len(entry) + width) + entry, np.uint8)
        content = np.empty((len(group.rows), len(before) + width), np.uint8)
        content[:, :len(before)], content[:, len(before):] = before, group.content
        yield Group(group.rows, content)


def _values(column: pa.Array) -> tuple[int, Iterator[Group]]:
    """The Feature field of a column's list and the bytes of each value."""
    if pa.types.is_int64(column.type):
        return INT64_LIST, _varints(column.to_numpy(zero_copy_only=False).view(np.uint64))
    if pa.types.is_float32(column.type):
        values = np.ascontiguousarray(column.to_numpy(zero_copy_only=False), "<f4")
        return FLOAT_LIST, iter([Group(np.arange(len(values)), values.view(np.uint8).reshape(-1, 4))])
    if pa.types.is_list(column.type) and pa.types.is_int64(column.type.value_type):
        return INT64_LIST, _packed(column)
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        return BYTES_LIST, _byte_strings(column)
    raise ValueError(f"tf.Example holds int64, float32, string, binary or lists of int64 values, not {column.type}")


def _byte_strings(column: pa.Array) -> Iterator[Group]:
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset:column.offset + len(column) + 1]
    buffer = column.buffers()[2]
    data = np.frombuffer(buffer, np.uint8) if buffer is not None else np.empty(0, np.uint8)
    return _by_length(data, offsets.astype(np.int64))


def _packed(column: pa.ListArray) -> Iterator[Group]:
    """The varints of each row's list, one after another."""
    values = column.flatten().to_numpy(zero_copy_only=False).view(np.uint64)
    groups = list(_varints(values))
    encoded = RecordBuffer.of_lengths(_lengths(groups, len(values)))
    for group in groups:
        scatter(encoded.data, encoded.offsets[group.rows], group.content)
    ends = column.offsets.to_numpy().astype(np.int64)
    return _by_length(encoded.data, encoded.offsets[ends - ends[0]])


def _by_length(data: np.ndarray, offsets: np.ndarray) -> Iterator[Group]:
    lengths = np.diff(offsets)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        yield Group(rows, gather(data, offsets[rows], int(length)))


def _varints(values: np.ndarray) -> Iterator[Group]:
    """Base-128 varints of uint64 values, grouped by length."""
    bounds = np.uint64(1) << (np.uint64(7) * np.arange(1, 10, dtype=np.uint64))
    sizes = np.searchsorted(bounds, values, "right") + 1
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        shifts = np.uint64(7) * np.arange(size, dtype=np.uint64)
        content = ((values[rows, None] >> shifts) & np.uint64(0x7F)).astype(np.uint8)
        content[:, :-1] |= 0x80
        yield Group(rows, content)


def _tagged_lengths(lengths: np.ndarray) -> Iterator[Group]:
    """Tag and length of field 1 for each row."""
    for group in _varints(lengths.astype(np.uint64)):
        tag = np.full((len(group.rows), 1), 0x0A, np.uint8)
        yield Group(group.rows, np.concatenate([tag, group.content], axis=1))


def _prefix(field: int, length: int) -> bytes:
    """Tag of a length-delimited field and its length."""
    [group] = _varints(np.array([length], np.uint64))
    return bytes([field << 3 | 2]) + group.content.tobytes()


def _lengths(groups: list[Group], count: int) -> np.ndarray:
    lengths = np.zeros(count, np.int64)
    for group in groups:
        lengths[group.rows] = group.content.shape[1]
    return lengths
