"""The vectorised tf.Example and TFRecord readers against protobuf's and TensorFlow's own bytes."""

import contextlib
import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfrs_pretrain  # noqa: F401
from beam_pipelines.records.example_encoder import RecordBuffer
from beam_pipelines.records.example_parser import MalformedExampleError, parse_examples
from beam_pipelines.records.tfrecord_reader import DamagedFileError, read_tfrecord

import tensorflow as tf  # isort: skip

VALUES = {
    "int64": st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 300), max_size=4),
    "float32": st.lists(st.floats(width=32, allow_nan=False), max_size=4),
    "string": st.lists(st.binary(max_size=200), max_size=3),
}
ROWS = st.lists(st.dictionaries(st.text(max_size=12), st.sampled_from(sorted(VALUES)).flatmap(
    lambda kind: st.tuples(st.just(kind), VALUES[kind])), max_size=4), min_size=1, max_size=6)


def _records(contents: list[bytes]) -> RecordBuffer:
    offsets = np.cumsum([0, *map(len, contents)])
    return RecordBuffer(np.frombuffer(b"".join(contents), np.uint8), offsets)


def _example(row: dict) -> bytes:
    example = tf.train.Example()
    for name, (kind, values) in row.items():
        feature = example.features.feature[name]
        field = {"int64": feature.int64_list, "float32": feature.float_list, "string": feature.bytes_list}[kind]
        field.SetInParent()  # an empty list still has a kind
        field.value.extend(values)
    return example.SerializeToString()


def _rows(records: RecordBuffer) -> list[dict]:
    """Parsed columns turned back into rows."""
    rows: list[dict] = [{} for _ in range(len(records))]
    for name, parts in parse_examples(records).items():
        for part in parts:
            values = part.values.tobytes() if part.kind == "string" else part.values.tolist()
            sizes = part.sizes if part.kind == "string" else part.lengths
            for place, record in enumerate(part.records):
                start = int(sizes[:place].sum())
                rows[record][name] = (part.kind, int(part.lengths[place]), values[start:start + sizes[place]])
    return rows


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_columns_are_what_protobuf_wrote(rows):
    """Any columns in any order, any number of values."""
    expected = [{name: (kind, len(values), b"".join(values) if kind == "string" else values)
                 for name, (kind, values) in row.items()} for row in rows]
    assert _rows(_records([_example(row) for row in rows])) == expected


@settings(max_examples=100, deadline=None)
@given(ROWS, st.data())
def test_damaged_bytes_never_do_worse_than_raise_or_give_other_values(rows, data):
    content = bytearray(b"".join(contents := [_example(row) for row in rows]))
    if content:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    records = RecordBuffer(np.frombuffer(bytes(content), np.uint8), np.cumsum([0, *map(len, contents)]))
    with contextlib.suppress(MalformedExampleError):
        parse_examples(records)


@pytest.mark.parametrize(("content", "message"), [
    (b"\x12\x00", "expected field 1"),
    (b"\x0a\x05\x0a", "ends in the wrong place"),
    (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "more than ten bytes"),
    (_example({"a": ("int64", [300])})[:-1] + b"\x80", "within a number"),
])
def test_what_is_no_example_is_refused(content, message):
    with pytest.raises(MalformedExampleError, match=message):
        parse_examples(_records([_example({"a": ("int64", [1])}), content]))


CONTENTS = [b"", b"one", b"x" * 5000, "é".encode(), *(bytes([number]) * number for number in range(200))]


@pytest.mark.parametrize("chunk_bytes", [13, 1 << 10, 1 << 25])
@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_records_are_what_tensorflow_wrote(chunk_bytes, compression, tmp_path):
    path = str(tmp_path / ("file.tfrecord.gz" if compression else "file.tfrecord"))
    with tf.io.TFRecordWriter(path, compression) as writer:
        for content in CONTENTS:
            writer.write(content)
    read = [records.data[start:end].tobytes() for records in read_tfrecord(path, chunk_bytes)
            for start, end in zip(records.offsets, records.offsets[1:], strict=False)]
    assert read == CONTENTS


@pytest.mark.parametrize(("damage", "message"), [
    (lambda data: data[:-1], "ends within a record that begins at byte 20"),
    (lambda data: data[:13] + b"X" + data[14:], "record at byte 0 does not fit its checksum"),
    (lambda data: data[:20] + b"X" + data[21:], "length of the record at byte 20 does not fit"),
    (lambda data: b"no TFRecord at all", "length of the record at byte 0 does not fit"),
])
def test_damaged_files_are_named_with_the_place(damage, message, tmp_path):
    path = tmp_path / "file.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"four")
        writer.write(b"more")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedFileError, match=message):
        list(read_tfrecord(str(path)))


def test_damaged_gzip_is_an_error_too(tmp_path):
    path = tmp_path / "file.tfrecord.gz"
    path.write_bytes(gzip.compress(b"\x00" * 4000, mtime=0)[:-10])
    with pytest.raises((DamagedFileError, OSError, EOFError)):
        list(read_tfrecord(str(path)))
