"""TFRecord files record by record: positions, limits, what is wrong."""

import struct

import pytest
import tensorflow as tf

from tfrs_pretrain.data.records import CorruptRecordError, RecordPosition, positioned_records, without_autotune

CONTENT = [b"first", b"", b"third record"]


def written(path, content=CONTENT, options=None):
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for data in content:
            writer.write(data)
    return str(path)


def test_offsets_are_those_of_the_file_format(tmp_path):
    path = written(tmp_path / "a.tfrecord")
    found = list(positioned_records(path))
    assert found == [(RecordPosition(path, 0, 0), b"first"), (RecordPosition(path, 1, 21), b""),
                     (RecordPosition(path, 2, 37), b"third record")]
    raw = (tmp_path / "a.tfrecord").read_bytes()
    for position, data in found:
        assert struct.unpack_from("<Q", raw, position.offset) == (len(data),)
        assert raw[position.offset + 12:position.offset + 12 + len(data)] == data
    assert found[-1][0].offset + 16 + len(CONTENT[-1]) == len(raw)


@pytest.mark.parametrize(("limit", "number"), [(0, 0), (1, 1), (2, 2), (3, 3), (9, 3), (-1, 3)])
def test_reading_stops_at_the_limit(tmp_path, limit, number):
    path = written(tmp_path / "a.tfrecord")
    assert [data for _, data in positioned_records(path, limit=limit)] == CONTENT[:number]


def test_compressed_files_count_their_content(tmp_path):
    path = written(tmp_path / "a.tfrecord.gz", options="GZIP")
    found = [position for position, _ in positioned_records(path)]
    assert [position.offset for position in found] == [0, 21, 37]
    assert str(found[2]) == "record 2, which starts at byte 37 of its uncompressed content"
    assert str(RecordPosition("a.tfrecord", 2, 37)) == "record 2, which starts at byte 37"


def test_records_before_the_corrupt_one_are_read(tmp_path):
    path = written(tmp_path / "a.tfrecord")
    with (tmp_path / "a.tfrecord").open("r+b") as file:
        file.seek(37 + 12)
        file.write(b"X")
    records = positioned_records(path)
    assert [next(records)[1], next(records)[1]] == CONTENT[:2]
    with pytest.raises(CorruptRecordError, match=r"record 2, which starts at byte 37: .*corrupted record") as caught:
        next(records)
    assert caught.value.position == RecordPosition(path, 2, 37)
    assert "\n" not in caught.value.reason
    assert "[Op:" not in caught.value.reason


def test_a_missing_file_is_named_at_its_first_record(tmp_path):
    with pytest.raises(CorruptRecordError, match=r"record 0, which starts at byte 0: .*absent\.tfrecord") as caught:
        list(positioned_records(str(tmp_path / "absent.tfrecord")))
    assert caught.value.position.number == 0


def test_autotuning_is_off_and_the_data_unchanged():
    data = without_autotune(tf.data.Dataset.range(5))
    assert data.options().autotune.enabled is False
    assert list(data.as_numpy_iterator()) == [0, 1, 2, 3, 4]
