"""Encodes columns as tf.Example records, a batch at a time.

The bytes equal ``tf.train.Example.SerializeToString(deterministic=True)``. Message layout (tensorflow/core/example):
``Example{1: Features{1: map<string, Feature>}}``, ``Feature{1: BytesList, 2: FloatList, 3: Int64List}``, each list
``{1: values}``, packed for numbers. Deterministic serialization orders the map by key; Python's protobuf places
``user_id`` before its prefix ``user``.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from beam_pipelines.records.record_buffer import RecordBuffer, gather, scatter
from beam_pipelines.records.varints import EqualLengthGroup, encode_varints

BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3
AFTER_ALL = b"\xff"  # greater than any byte of UTF-8: a name sorts after the longer names that start with it


def encode_examples(columns: dict[str, pa.Array]) -> RecordBuffer:
    """Encodes one tf.Example per row: one value per column, or all values of a list.

    Args:
      columns: name -> Arrow array [n] of int64, float32, string, binary or list of int64, without nulls; at least one
        column.

    Returns:
      n serialized tf.Examples.

    Raises:
      ValueError: a column has nulls, another length or another type.
    """
    num_rows = len(next(iter(columns.values())))
    for name, column in columns.items():
        if column.null_count or len(column) != num_rows:
            raise ValueError(f"column {name!r} has {column.null_count} nulls and {len(column)} of {num_rows} values")
    ordered = sorted(columns.items(), key=lambda item: item[0].encode() + AFTER_ALL)
    entries = [list(_map_entry(name.encode(), column)) for name, column in ordered]
    lengths = np.stack([_lengths(groups, num_rows) for groups in entries])
    header = list(_tagged_lengths(lengths.sum(axis=0)))
    lengths = np.concatenate([_lengths(header, num_rows)[None], lengths])
    records = RecordBuffer.allocate(lengths.sum(axis=0))
    starts = records.offsets[:-1] + np.cumsum(lengths, axis=0) - lengths
    for start, groups in zip(starts, [header, *entries], strict=True):
        for group in groups:
            scatter(records.data, start[group.indices], group.content)
    return records


def _map_entry(name: bytes, column: pa.Array) -> Iterator[EqualLengthGroup]:
    """Encodes the map entry of one column for each row, grouped by the length of the value."""
    field, groups = _encode_values(column)
    for group in groups:
        width = group.content.shape[1]
        # Protobuf omits an empty packed list, but not an empty byte string.
        value = _prefix(1, width) if width or field == BYTES_LIST else b""
        feature = _prefix(field, len(value) + width) + value
        entry = _prefix(1, len(name)) + name + _prefix(2, len(feature) + width) + feature
        before = np.frombuffer(_prefix(1, len(entry) + width) + entry, np.uint8)
        content = np.empty((len(group.indices), len(before) + width), np.uint8)
        content[:, :len(before)], content[:, len(before):] = before, group.content
        yield EqualLengthGroup(group.indices, content)


def _encode_values(column: pa.Array) -> tuple[int, Iterator[EqualLengthGroup]]:
    """Returns the field of ``Feature`` for a column, and the encoded values of its rows."""
    if pa.types.is_int64(column.type):
        return INT64_LIST, encode_varints(column.to_numpy(zero_copy_only=False).view(np.uint64))
    if pa.types.is_float32(column.type):
        values = np.ascontiguousarray(column.to_numpy(zero_copy_only=False), "<f4")
        return FLOAT_LIST, iter([EqualLengthGroup(np.arange(len(values)), values.view(np.uint8).reshape(-1, 4))])
    if pa.types.is_list(column.type) and pa.types.is_int64(column.type.value_type):
        return INT64_LIST, _encode_lists(column)
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        return BYTES_LIST, _encode_byte_strings(column)
    raise ValueError(f"tf.Example supports int64, float32, string, binary or lists of int64 values, not {column.type}")


def _encode_byte_strings(column: pa.Array) -> Iterator[EqualLengthGroup]:
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset:column.offset + len(column) + 1]
    buffer = column.buffers()[2]
    data = np.frombuffer(buffer, np.uint8) if buffer is not None else np.empty(0, np.uint8)
    return _group_by_length(data, offsets.astype(np.int64))


def _encode_lists(column: pa.ListArray) -> Iterator[EqualLengthGroup]:
    """Encodes each list as its concatenated varints."""
    values = column.flatten().to_numpy(zero_copy_only=False).view(np.uint64)
    groups = list(encode_varints(values))
    encoded = RecordBuffer.allocate(_lengths(groups, len(values)))
    for group in groups:
        scatter(encoded.data, encoded.offsets[group.indices], group.content)
    ends = column.offsets.to_numpy().astype(np.int64)
    return _group_by_length(encoded.data, encoded.offsets[ends - ends[0]])


def _group_by_length(data: np.ndarray, offsets: np.ndarray) -> Iterator[EqualLengthGroup]:
    lengths = np.diff(offsets)
    for length in np.unique(lengths):
        indices = np.flatnonzero(lengths == length)
        yield EqualLengthGroup(indices, gather(data, offsets[indices], int(length)))


def _tagged_lengths(lengths: np.ndarray) -> Iterator[EqualLengthGroup]:
    """Encodes the tag and length of field 1 for each row."""
    for group in encode_varints(lengths.astype(np.uint64)):
        tag = np.full((len(group.indices), 1), 0x0A, np.uint8)
        yield EqualLengthGroup(group.indices, np.concatenate([tag, group.content], axis=1))


def _prefix(field: int, length: int) -> bytes:
    """Encodes the tag and the length of a length-delimited field."""
    [group] = encode_varints(np.array([length], np.uint64))
    return bytes([field << 3 | 2]) + group.content.tobytes()


def _lengths(groups: list[EqualLengthGroup], num_rows: int) -> np.ndarray:
    lengths = np.zeros(num_rows, np.int64)
    for group in groups:
        lengths[group.indices] = group.content.shape[1]
    return lengths
