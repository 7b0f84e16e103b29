"""Columnar blocks, byte by byte."""

import pyarrow as pa
import pytest

from beam_pipelines.records.blocks import encode_block


def _delimited(field: int, content: bytes) -> bytes:
    """A length-delimited protobuf field of less than 128 bytes."""
    assert len(content) < 128
    return bytes([field << 3 | 2, len(content)]) + content


def _example(columns: dict[str, bytes]) -> bytes:
    """A tf.Example with one bytes value for each column, in the given order."""
    entries = [_delimited(1, _delimited(1, name.encode()) + _delimited(2, _delimited(1, _delimited(1, value))))
               for name, value in columns.items()]
    return _delimited(1, b"".join(entries))


@pytest.mark.parametrize(("column", "expected"), [
    (pa.array([1, 256, -2], pa.int32()), {"x": b"\1\0\0\0" b"\0\1\0\0" b"\xfe\xff\xff\xff"}),
    (pa.array([1, -1], pa.int64()), {"x": b"\1" + b"\0" * 7 + b"\xff" * 8}),
    (pa.array([1.0, -2.5], pa.float32()), {"x": b"\0\0\x80\x3f" b"\0\0\x20\xc0"}),
    (pa.array(["é", "", "ab"]), {"x.lengths": b"\2\0\0\0" b"\0\0\0\0" b"\2\0\0\0", "x": b"\xc3\xa9ab"}),
    (pa.array([[7], [], [8, 9]], pa.list_(pa.int64())),
     {"x.lengths": b"\1\0\0\0" b"\0\0\0\0" b"\2\0\0\0", "x": b"".join(bytes([n]) + b"\0" * 7 for n in (7, 8, 9))}),
], ids=["int32", "int64", "float32", "string", "list"])
def test_each_type_is_little_endian(column, expected):
    records = encode_block({"x": column})
    assert len(records) == 1
    assert records.data.tobytes() == _example(expected)


@pytest.mark.parametrize("column", [pa.array([9, 1, 2, 9], pa.int32()), pa.array(["9", "é", "", "9"]),
                                    pa.array([[9], [1, 2], [], [9]], pa.list_(pa.int64()))], ids=str)
def test_a_slice_is_encoded_like_a_copy_of_it(column):
    part = column.slice(1, 2)
    copy = pa.array(part.to_pylist(), part.type)
    assert encode_block({"x": part}).data.tobytes() == encode_block({"x": copy}).data.tobytes()
