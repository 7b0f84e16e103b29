"""The trainer's calls, checkpoints and stops on a small task, also where a run is resumed."""

import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training import strategy, trainer
from tfrs_pretrain.training.checkpoint import Checkpoints
from tfrs_pretrain.training.trainer import Trainer
from tfrs_pretrain.training.training_task import EvalResult, TrainingTask

STRATEGY = tf.distribute.get_strategy()
SUMS = [2 * 1 + 46, 2 * 48 + 86, 2 * 182 + 126]  # after epochs 1, 2 and 3


class Adder(TrainingTask):
    """Adds the values 10 * epoch + 0, 1, 2, 3, and doubles the sum when an epoch begins."""

    name, title, unit, epochs, steps, batch_size = "adder", "Adder", "numbers", 3, 4, 1

    def __init__(self, *, enough=float("inf"), fail_at=None, start=False, eval_steps=(), terminate_at=None):
        self.sum, self.calls = tf.Variable(1.0, dtype=tf.float64, name="sum"), []
        self.enough, self.fail_at, self.start = enough, fail_at, start
        self.eval_steps, self.terminate_at = eval_steps, terminate_at

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

    def evaluate_mid_epoch(self, steps_done, state, last_eval):
        if steps_done == self.terminate_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return {"steps": steps_done, "loss": state.means_since(last_eval)["loss"]}

    def evaluate(self, epoch, means):
        if (epoch, "evaluate") == self.terminate_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return EvalResult({"sum": float(self.sum), "mean": means["loss"]}, {"sum": float(self.sum)})

    def is_done(self, records):
        return bool(records) and records[-1]["sum"] > self.enough

    def progress_text(self, record):
        return f"sum {record['sum']:.0f}"

    def describe_batch(self, batch):
        return f"batch {batch[0]}"


class CountingCheckpoints(Checkpoints):
    """Checkpoints that note the steps at which they are saved."""

    def __init__(self, folder):
        super().__init__(folder, {"run": 1}, keep=2)
        self.saved = []

    def save(self, step, variables, progress):
        self.saved.append(step)
        super().save(step, variables, progress)


def run(task, folder, *, every=2):
    checkpoints = CountingCheckpoints(folder / "c")
    config = TrainingConfig(checkpoint_every_steps=every, tensorboard=None)
    return Trainer(config, STRATEGY, task, checkpoints).run(), checkpoints.saved


def test_epochs_are_begun_trained_evaluated_and_recorded(tmp_path):
    task = Adder()
    result, _ = run(task, tmp_path)
    assert [record["sum"] for record in result.epochs] == SUMS
    assert [record["mean"] for record in result.epochs] == [11.5, 21.5, 31.5]
    assert [record["epoch"] for record in result.epochs] == [1, 2, 3]
    assert task.calls == [call for epoch in (1, 2, 3) for call in (("begin", epoch), ("batches", epoch, 0))]


def test_times_and_rates_are_consistent(tmp_path):
    result, _ = run(Adder(), tmp_path)
    for record in result.epochs:
        assert record["numbers_per_second"] == pytest.approx(4 / record["seconds"])
        assert record["evaluation_seconds"] >= 0
    assert result.seconds > sum(record["seconds"] + record["evaluation_seconds"] for record in result.epochs) > 0


def test_checkpoints_follow_the_schedule_and_each_epoch_once(tmp_path):
    assert run(Adder(), tmp_path / "two")[1] == [2, 4, 6, 8, 10, 12]
    assert run(Adder(), tmp_path / "four", every=4)[1] == [4, 8, 12]
    assert run(Adder(), tmp_path / "none", every=None)[1] == [4, 8, 12]


def test_the_initial_evaluation_is_epoch_0(tmp_path):
    result, _ = run(Adder(start=True), tmp_path)
    assert [(record["epoch"], record["sum"]) for record in result.epochs][:2] == [(0, 1.0), (1, 48.0)]


def test_a_task_can_be_done_early(tmp_path):
    assert [record["epoch"] for record in run(Adder(enough=100), tmp_path)[0].epochs] == [1, 2]


@pytest.mark.parametrize(("fail_at", "calls"), [
    ((2, 3), [("batches", 2, 2), ("begin", 3), ("batches", 3, 0)]),  # two steps of epoch 2 are in the checkpoint
    ((2, 1), [("begin", 2), ("batches", 2, 0), ("begin", 3), ("batches", 3, 0)]),  # none is: epoch 2 begins again
])
def test_a_resumed_run_begins_no_epoch_twice(tmp_path, fail_at, calls):
    with pytest.raises(UserError, match=rf"not finite at step {fail_at[1] + 1} of 4.*; epoch 2, batch nan; last good "
                                        rf"checkpoint: '.*step-00000000{6 if fail_at[1] == 3 else 4}'"):
        run(Adder(fail_at=fail_at), tmp_path)
    again = Adder()
    result, _ = run(again, tmp_path)
    assert again.calls == calls
    assert [record["sum"] for record in result.epochs] == SUMS
    assert [record["mean"] for record in result.epochs] == [11.5, 21.5, 31.5]


def test_a_resumed_run_adds_its_time_to_the_earlier_one(tmp_path):
    with pytest.raises(UserError):
        run(Adder(fail_at=(2, 3)), tmp_path)
    checkpoints = Checkpoints(tmp_path / "c", {"run": 1}, keep=2)
    restored = checkpoints.restore([tf.Variable(0.0, dtype=tf.float64)])
    checkpoints.save(6, [tf.Variable(restored.step, dtype=tf.float64)], restored.progress | {
        "seconds": 1000.0, "epoch_seconds": 500.0})
    result, _ = run(Adder(), tmp_path)
    assert 1000 < result.seconds < 1100
    assert 500 < result.epochs[1]["seconds"] < 600
    assert result.epochs[2]["seconds"] < 100


def test_a_finished_run_trains_nothing_more(tmp_path):
    run(Adder(), tmp_path)
    again = Adder()
    result, saved = run(again, tmp_path)
    assert [record["sum"] for record in result.epochs] == SUMS
    assert (again.calls, saved) == ([], [])


def test_mid_epoch_evaluations_cover_the_steps_since_the_previous_one(tmp_path):
    result, _ = run(Adder(eval_steps=(1, 4)), tmp_path)
    expected = [(step, loss) for epoch in (1, 2, 3)
                for step, loss in ((4 * epoch - 3, 10 * epoch), (4 * epoch, 10 * epoch + 2))]
    assert [(record["steps"], record["loss"]) for record in result.curve] == expected


@pytest.mark.parametrize(("terminate_at", "step"), [(1, 1), (7, 7), (4, 4), ((2, "evaluate"), 8)])
def test_sigterm_stops_at_the_next_safe_point_and_the_run_resumes(tmp_path, capsys, terminate_at, step):
    steps = (1, 3, 4)
    with pytest.raises(SystemExit) as stop:
        run(Adder(eval_steps=steps, terminate_at=terminate_at), tmp_path)
    assert stop.value.code == 143
    name = f"step-{step:09d}"
    assert max(path.name for path in (tmp_path / "c").iterdir()) == name
    assert f"{name}'" in capsys.readouterr().out.replace("\n", "")
    result, _ = run(Adder(eval_steps=steps), tmp_path)
    assert [record["sum"] for record in result.epochs] == SUMS
    assert [record["mean"] for record in result.epochs] == [11.5, 21.5, 31.5]
    assert [record["steps"] for record in result.curve] == [1, 3, 4, 5, 7, 8, 9, 11, 12]
    assert "resuming from checkpoint" in capsys.readouterr().out


def test_sigterm_of_another_worker_stops_this_one(tmp_path, monkeypatch):
    calls = []

    def total(strategy, value):
        calls.append(value)
        return value + (len(calls) == 6)  # after three to compare checkpoints and two pauses of epoch 1

    monkeypatch.setattr(strategy, "total_over_workers", total)
    monkeypatch.setattr(trainer, "total_over_workers", total)
    with pytest.raises(SystemExit):
        run(Adder(), tmp_path)
    assert max(path.name for path in (tmp_path / "c").iterdir()) == "step-000000004"


def test_workers_with_different_checkpoints_are_refused(tmp_path, monkeypatch):
    run(Adder(), tmp_path)
    # The other worker found step 8: two workers, 12 + 8 steps, distances of 2 from the mean.
    monkeypatch.setattr(strategy, "total_over_workers", lambda strategy, value: {1: 2, 12: 20, 2: 4}[value])
    with pytest.raises(UserError, match="found a checkpoint of step 12, another worker found a different one"):
        run(Adder(), tmp_path)


def test_a_damaged_checkpoint_is_reported(tmp_path, capsys):
    run(Adder(), tmp_path)
    (tmp_path / "c" / "step-000000012" / "000-sum.npy").unlink()
    result, _ = run(Adder(), tmp_path)
    assert [record["sum"] for record in result.epochs] == SUMS
    assert "step-000000012 (000-sum.npy is missing) is damaged: using the one before it" in " ".join(
        capsys.readouterr().out.split())


def test_a_start_from_the_beginning_after_damage_is_reported(tmp_path, capsys):
    run(Adder(), tmp_path)
    for step in ("10", "12"):
        (tmp_path / "c" / f"step-0000000{step}" / "000-sum.npy").unlink()
    result, saved = run(Adder(), tmp_path)
    assert [record["sum"] for record in result.epochs] == SUMS
    assert saved == [2, 4, 6, 8, 10, 12]
    output = " ".join(capsys.readouterr().out.split())
    for step in ("10", "12"):
        assert (f"step-0000000{step} (000-sum.npy is missing) is damaged: no other one is usable: starting from the "
                "beginning") in output
    assert f"damaged checkpoints are kept in {tmp_path}/c until the run finishes" in output
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [
        "damaged-step-000000010-1", "damaged-step-000000012-1", "step-000000010", "step-000000012"]
