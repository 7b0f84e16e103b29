"""TFRecord files against TensorFlow's writer and a checksum computed bit by bit."""

import gzip

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from beam_pipelines.records.example_encoder import encode_examples
from beam_pipelines.records.record_buffer import RecordBuffer
from beam_pipelines.records.tfrecord_writer import frame_records, mask_crc, write_tfrecord


def _records() -> RecordBuffer:
    return encode_examples({"text": pa.array(["", "kurz", "länger" * 50, "kurz"]), "n": pa.array([1, 300, -5, 7])})


def _crc32c(content: bytes) -> int:
    """Castagnoli's polynomial, reflected, bit by bit."""
    register = 0xFFFFFFFF
    for byte in content:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def test_file_equals_tensorflows_writer(tmp_path):
    records = _records()
    summary = write_tfrecord(str(tmp_path / "ours"), [records, records])
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for _ in range(2):
            for start, end in zip(records.offsets, records.offsets[1:], strict=False):
                writer.write(records.data[start:end].tobytes())
    content = (tmp_path / "ours").read_bytes()
    assert content == (tmp_path / "theirs").read_bytes()
    assert (summary.bytes, summary.records) == (len(content), 8)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "theirs"]


@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_summary_describes_the_file_on_disk(name, tmp_path):
    summary = write_tfrecord(str(tmp_path / name), [_records()])
    content = (tmp_path / name).read_bytes()
    assert (summary.bytes, summary.records, summary.crc32c) == (len(content), 4, f"{_crc32c(content):08x}")


def test_a_small_checksum_has_eight_digits(tmp_path):
    """One file in sixteen has a checksum that starts with a zero."""
    checksums = []
    for number in range(64):
        content = np.array([number], np.uint8)
        summary = write_tfrecord(str(tmp_path / "file"), [RecordBuffer(content, np.array([0, 1]))])
        checksums.append(summary.crc32c)
        assert int(summary.crc32c, 16) == _crc32c((tmp_path / "file").read_bytes())
    assert {len(checksum) for checksum in checksums} == {8}
    assert any(checksum.startswith("0") for checksum in checksums)


def test_compressed_bytes_depend_on_the_records_only(tmp_path):
    contents = []
    for name in ("one.gz", "another-name.gz"):
        write_tfrecord(str(tmp_path / name), [_records()])
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    # Flags (no file name) and modification time are zero.
    assert contents[0][3:8] == b"\0" * 5
    assert gzip.decompress(contents[0]) == frame_records(_records())


def test_an_empty_compressed_file_is_readable(tmp_path):
    summary = write_tfrecord(str(tmp_path / "x.tfrecord.gz"), [])
    assert summary.records == 0
    assert summary.bytes == (tmp_path / "x.tfrecord.gz").stat().st_size > 0
    assert list(tf.data.TFRecordDataset(str(tmp_path / "x.tfrecord.gz"), compression_type="GZIP")) == []


def test_a_failed_write_leaves_no_file(tmp_path):
    def chunks():
        yield _records()
        raise RuntimeError("worker dies")

    with pytest.raises(RuntimeError, match="worker dies"):
        write_tfrecord(str(tmp_path / "file"), chunks())
    assert list(tmp_path.iterdir()) == []


def test_frame_of_no_records_is_empty():
    records = encode_examples({"n": pa.array([], pa.int64())})
    assert frame_records(records) == b""
    assert np.array_equal(records.offsets, [0])


def test_checksums_are_rotated_by_15_bits_and_shifted_by_a_constant():
    checksums = [0, 1, 0x7FFF, 0x8000, 0xFFFFFFFF, 0xE3069283]
    expected = [(((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32 for crc in checksums]
    masked = mask_crc(np.array(checksums, np.uint32))
    assert masked.dtype == np.uint32
    assert masked.tolist() == expected
