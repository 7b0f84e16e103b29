"""TFRecord files that TensorFlow wrote, sound and damaged."""

import gzip

import pytest
import tensorflow as tf

from beam_pipelines.records.tfrecord_reader import DamagedFileError, read_tfrecord

CONTENTS = [b"", b"one", b"x" * 5000, "é".encode(), *(bytes([number]) * number for number in range(200))]


@pytest.mark.parametrize("chunk_bytes", [13, 1 << 10, 1 << 25])
@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_records_equal_what_tensorflow_wrote(chunk_bytes, compression, tmp_path):
    path = str(tmp_path / ("file.tfrecord.gz" if compression else "file.tfrecord"))
    with tf.io.TFRecordWriter(path, compression) as writer:
        for content in CONTENTS:
            writer.write(content)
    read = [records.data[start:end].tobytes() for records in read_tfrecord(path, chunk_bytes)
            for start, end in zip(records.offsets, records.offsets[1:], strict=False)]
    assert read == CONTENTS


@pytest.mark.parametrize("chunk_bytes", [7, 1 << 25])
@pytest.mark.parametrize(("damage", "message"), [
    (lambda data: data[:-1], "ends within a record that begins at byte 20"),
    (lambda data: data[:13] + b"X" + data[14:], "content of the record at byte 0 does not match its checksum"),
    (lambda data: data[:20] + b"X" + data[21:], "length of the record at byte 20 does not match"),
    (lambda data: b"no TFRecord at all", "length of the record at byte 0 does not match"),
])
def test_damage_is_reported_with_its_position(damage, message, chunk_bytes, tmp_path):
    path = tmp_path / "file.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"four")
        writer.write(b"more")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedFileError, match=message):
        list(read_tfrecord(str(path), chunk_bytes))


def test_damaged_gzip_is_an_error_too(tmp_path):
    path = tmp_path / "file.tfrecord.gz"
    path.write_bytes(gzip.compress(b"\x00" * 4000, mtime=0)[:-10])
    with pytest.raises((DamagedFileError, OSError, EOFError)):
        list(read_tfrecord(str(path)))
