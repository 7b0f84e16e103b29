"""The shared loop's hooks, on a toy: which are called when, also where a run is continued."""

import numpy as np
import pytest

import tfrs_pretrain  # noqa: F401  (selects Keras 2 for tf.keras before TensorFlow loads)

# isort: split
import tensorflow as tf

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.checkpoint import Checkpoints
from tfrs_pretrain.training.trainer import Trainer
from tfrs_pretrain.training.training_task import EvalResult, TrainingTask

STRATEGY = tf.distribute.get_strategy()


class Adder(TrainingTask):
    """Adds up batches 10 * epoch + 0, 1, 2, 3, and doubles the sum when an epoch begins."""

    name, title, unit, epochs, steps, batch_size = "adder", "Adder", "numbers", 3, 4, 1

    def __init__(self, *, enough=float("inf"), fail_at=None, start=False):
        self.sum, self.calls = tf.Variable(1.0, dtype=tf.float64, name="sum"), []
        self.enough, self.fail_at, self.start = enough, fail_at, start

    @property
    def variables(self):
        return [self.sum]

    def batches(self, epoch, start):
        values = [np.nan if self.fail_at == (epoch, step) else 10.0 * epoch + step for step in range(start, self.steps)]
        self.calls.append(("batches", epoch, start))
        return tf.data.Dataset.from_tensor_slices(tf.constant(values, tf.float64)).batch(1)

    def begin_epoch(self, epoch):
        self.calls.append(("begin", epoch))
        self.sum.assign(2 * self.sum)

    def step(self, batch):
        self.sum.assign_add(batch[0])
        return {"loss": batch[0]}

    def evaluate_start(self):
        return EvalResult({"sum": float(self.sum)}, {}) if self.start else None

    def evaluate(self, epoch, means):
        return EvalResult({"sum": float(self.sum), "mean": means["loss"]}, {"sum": float(self.sum)})

    def is_done(self, records):
        return bool(records) and records[-1]["sum"] > self.enough

    def progress_text(self, record):
        return f"sum {record['sum']:.0f}"

    def describe_batch(self, batch):
        return f"batch {batch[0]}"


def run(task, folder, **training):
    config = TrainingConfig(checkpoint_every_steps=2, **training)
    return Trainer(config, STRATEGY, task, Checkpoints(folder / "c", {"run": 1}, keep=2)).run()


def test_epochs_are_begun_trained_judged_and_recorded(tmp_path):
    task = Adder()
    run_progress = run(task, tmp_path)
    sums = [2 * 1 + 46, 2 * 48 + 86, 2 * 182 + 126]
    assert [record["sum"] for record in run_progress.epochs] == sums
    assert [record["mean"] for record in run_progress.epochs] == [11.5, 21.5, 31.5]
    assert [record["epoch"] for record in run_progress.epochs] == [1, 2, 3]
    assert min(record["numbers_per_second"] for record in run_progress.epochs) > 0
    assert task.calls == [call for epoch in (1, 2, 3) for call in (("begin", epoch), ("batches", epoch, 0))]


def test_what_is_judged_before_the_first_epoch_is_epoch_0(tmp_path):
    run_progress = run(Adder(start=True), tmp_path)
    assert [(record["epoch"], record["sum"]) for record in run_progress.epochs][:2] == [(0, 1.0), (1, 48.0)]


def test_a_stage_can_be_done_early(tmp_path):
    assert [record["epoch"] for record in run(Adder(enough=100), tmp_path).epochs] == [1, 2]


@pytest.mark.parametrize(("fail_at", "calls"), [
    ((2, 3), [("batches", 2, 2), ("begin", 3), ("batches", 3, 0)]),  # two steps of epoch 2 are in the checkpoint
    ((2, 1), [("begin", 2), ("batches", 2, 0), ("begin", 3), ("batches", 3, 0)]),  # none is: epoch 2 begins again
])
def test_a_continued_run_begins_no_epoch_twice(tmp_path, fail_at, calls):
    with pytest.raises(UserError, match=rf"not finite at step {fail_at[1] + 1} of 4.*; epoch 2, batch nan; last good "
                                        rf"checkpoint: '.*step-00000000{6 if fail_at[1] == 3 else 4}'"):
        run(Adder(fail_at=fail_at), tmp_path)
    again = Adder()
    run_progress = run(again, tmp_path)
    assert again.calls == calls
    assert [record["sum"] for record in run_progress.epochs] == [48, 182, 490]
    assert [record["mean"] for record in run_progress.epochs] == [11.5, 21.5, 31.5]


def test_a_finished_run_trains_nothing_more(tmp_path):
    run(Adder(), tmp_path)
    again = Adder()
    assert [record["sum"] for record in run(again, tmp_path).epochs] == [48, 182, 490]
    assert again.calls == []
