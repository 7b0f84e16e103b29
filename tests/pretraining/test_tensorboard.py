"""The curves in TensorBoard's event files are those of the manifest."""

import planted
import pytest
import tensorflow as tf
from tensorflow.core.util.event_pb2 import Event

from tfrs_pretrain.config import Config
from tfrs_pretrain.pretraining.run import pretrain


def curves(folder):
    """Name -> step -> value, parsed from the event files."""
    points = {}
    for path in folder.iterdir():
        for record in tf.data.TFRecordDataset(str(path)):
            event = Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name in ("scalars", "")
                points.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return points


def test_losses_rates_and_metrics_are_written_by_step(tiny_dataset, tmp_path):
    tree = planted.planted_config(training={"tensorboard": str(tmp_path / "events"), "checkpoint_every_steps": 10})
    result = pretrain(Config.model_validate(tree), tiny_dataset, tmp_path / "e")
    points, steps = curves(tmp_path / "events" / "pretraining"), result.steps_per_epoch
    ends = [epoch * steps for epoch in range(4)]
    for name in ("heldout_loss", "recall@50"):
        assert list(points[f"heldout/{name}"]) == ends
        assert list(points[f"heldout/{name}"].values()) == pytest.approx([e[name] for e in result.epochs])
    losses = points["train/loss"]
    assert sorted(losses)[:4] == [10, 20, 30, 40]
    parts = [step for step in sorted(losses) if step <= steps]
    mean = sum(losses[step] * (step - before) for before, step in zip([0, *parts], parts, strict=False)) / steps
    assert mean == pytest.approx(result.epochs[1]["train_loss"])
    assert points["train/learning_rate"][10] == pytest.approx(0.02 * (1 - 9 / (3 * steps)))
    assert min(points["train/pairs_per_second"].values()) > 0
