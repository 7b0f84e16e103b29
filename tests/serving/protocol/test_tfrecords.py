"""The TFRecord reader against ``tf.io.TFRecordWriter``."""

import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.protocol.tfrecords import read_prediction_logs


@pytest.fixture
def logs():
    logs = [PredictionLog() for _ in range(3)]
    for number, log in enumerate(logs):
        log.predict_log.request.model_spec.name = "x" * number
    return logs


@pytest.fixture
def path(logs, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "logs")) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    return tmp_path / "logs"


def test_records_are_read_as_tensorflow_wrote_them(path, logs):
    assert list(read_prediction_logs(path)) == logs


def test_an_empty_file_has_no_records(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    assert list(read_prediction_logs(tmp_path / "empty")) == []


@pytest.mark.parametrize("damage", [
    lambda whole: whole[:-1], lambda whole: whole[:-6] + b"\0" + whole[-5:], lambda whole: whole[:5],
    lambda whole: whole[:-4] + bytes([whole[-4] ^ 1]) + whole[-3:]],
    ids=["truncated checksum", "changed content", "truncated length", "changed checksum"])
def test_damaged_files_are_refused(path, damage):
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="is damaged at byte"):
        list(read_prediction_logs(path))


def test_the_message_names_the_byte_at_which_the_damaged_record_starts(path, logs):
    first = len(logs[0].SerializeToString()) + 16  # length 8, two checksums of 4
    content = bytearray(path.read_bytes())
    content[first + 12] ^= 1
    path.write_bytes(content)
    reader = read_prediction_logs(path)
    assert next(reader) == logs[0]
    with pytest.raises(UserError, match=f"is damaged at byte {first}: export the model again"):
        next(reader)
