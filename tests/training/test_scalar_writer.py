"""TensorBoard's event files contain the scalars by step, and nothing without a folder."""

import tensorflow as tf
from tensorflow.core.util.event_pb2 import Event

from tfrs_pretrain.training.tensorboard import ScalarWriter


def points(folder):
    """(curve, step, value) of all event files in a folder, with the metadata that TensorBoard needs."""
    for path in sorted(folder.iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                yield value.tag, event.step, float(tf.make_ndarray(value.tensor))


def test_points_are_on_disk_at_once_and_none_writes_nothing(tmp_path):
    writer = ScalarWriter(tmp_path / "events")
    writer.write(3, {"loss": 0.5, "auc": None})
    assert list(points(tmp_path / "events")) == [("loss", 3, 0.5)]
    writer.write(7, {"loss": 0.25, "auc": 0.75})
    assert list(points(tmp_path / "events")) == [("loss", 3, 0.5), ("loss", 7, 0.25), ("auc", 7, 0.75)]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ScalarWriter(None).write(3, {"loss": 0.5})
    assert list(tmp_path.iterdir()) == []
