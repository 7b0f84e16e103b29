"""The loop's counting, averaging, errors and tracing; two replicas in a process of its own."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from processes import run_for_json

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.loop import STEPS_PER_CALL, run_epoch

STRATEGY = tf.distribute.get_strategy()


class Recorder:
    """A meter that stores what it is told."""

    def __init__(self):
        self.total, self.notes = 0.0, []

    def advance(self, amount=1):
        self.total += amount

    def note(self, text):
        self.notes.append(text)


class Mean:
    """Adds every batch to a variable, so that a test sees which batches ran."""

    def __init__(self):
        self.seen, self.traces = tf.Variable(0.0), 0

    def step(self, batch):
        self.traces += 1
        self.seen.assign_add(tf.reduce_sum(batch["x"]))
        return {"loss": tf.reduce_mean(batch["x"]), "largest": tf.reduce_max(batch["x"])}


def batches(values, size):
    return tf.data.Dataset.from_tensors({"x": tf.constant(values, tf.float32)}).rebatch(size, drop_remainder=True)


def test_runs_exactly_the_requested_steps_and_averages_over_them():
    meter, model = Recorder(), Mean()
    out = run_epoch(STRATEGY, model.step, batches(np.arange(200), 2), steps=70, meter=meter, title="epoch 1 · ")
    assert out == {"loss": pytest.approx(np.arange(140).mean()), "largest": pytest.approx(np.arange(1, 140, 2).mean())}
    assert model.seen.numpy() == 139 * 140 / 2
    assert meter.total == 140
    assert meter.notes[-1] == "epoch 1 · loss 133.5000"  # the last six steps have 128..139


def train_three_epochs():
    model = Mean()
    for _ in range(3):
        run_epoch(STRATEGY, model.step, batches(np.arange(80), 2), steps=40, meter=Recorder())
    return weakref.ref(model), model.traces


def test_traces_once_over_epochs_and_releases_the_model():
    model, traces = train_three_epochs()
    assert traces == 1
    gc.collect()
    assert model() is None


def test_non_finite_loss_names_the_step():
    values = np.arange(100.0)
    values[74] = np.nan
    with pytest.raises(UserError, match="not finite at step 38 of 50"):
        run_epoch(STRATEGY, Mean().step, batches(values, 2), steps=50, meter=Recorder())


def test_another_scalar_that_is_not_finite_is_named():
    def step(batch):
        return {"loss": tf.reduce_mean(batch["x"]), "teacher": 1 / tf.reduce_min(batch["x"])}

    values = np.arange(1.0, 101.0)
    values[61] = 0
    with pytest.raises(UserError, match="the scalar 'teacher' is not finite at step 31 of 50"):
        run_epoch(STRATEGY, step, batches(values, 2), steps=50, meter=Recorder())


def test_the_loss_is_named_before_other_scalars_of_the_same_step():
    def step(batch):
        return {"a": 1 / tf.reduce_min(batch["x"]), "loss": 1 / tf.reduce_min(batch["x"])}

    with pytest.raises(UserError, match="the loss is not finite at step 1 of 1"):
        run_epoch(STRATEGY, step, batches([0, 1], 2), steps=1, meter=Recorder())


def test_pauses_come_at_least_every_call_and_after_the_last_step():
    states = []
    run_epoch(STRATEGY, Mean().step, batches(np.arange(200), 2), steps=70, meter=Recorder(), on_pause=states.append)
    assert [state.steps_done for state in states] == [STEPS_PER_CALL, 2 * STEPS_PER_CALL, 70]
    assert states[0].totals["loss"] == 2 * sum(range(STEPS_PER_CALL)) + STEPS_PER_CALL / 2


def test_an_epoch_resumes_at_its_state():
    whole, states = Mean(), []
    expected = run_epoch(STRATEGY, whole.step, batches(np.arange(200), 2), steps=70, meter=Recorder(),
                         pause_steps=(25, 50), on_pause=states.append)
    assert [state.steps_done for state in states] == [25, 50, 70]
    again, meter = Mean(), Recorder()
    rest = batches(np.arange(200), 2).skip(25)
    assert run_epoch(STRATEGY, again.step, rest, steps=70, meter=meter, start=states[0]) == expected
    assert meter.total == 90
    assert run_epoch(STRATEGY, again.step, rest, steps=70, meter=meter, start=states[-1]) == expected


def test_short_data_names_the_steps():
    with pytest.raises(UserError, match="ended between steps 33 and 60 of 60"):
        run_epoch(STRATEGY, Mean().step, batches(np.arange(80), 2), steps=60, meter=Recorder())


@pytest.mark.slow
def test_two_replicas_share_each_global_batch():
    out = run_for_json([Path(__file__).with_name("loop_on_two_replicas.py")])
    values = np.arange(160.0).reshape(40, 2, 2)  # [step, replica, example]: the first half of a batch to replica 0
    assert out["means"] == [{"loss": values.mean()}] * 2
    assert out["seen"] == [2 * values[:, 0].sum(), 2 * values[:, 1].sum()]
    assert out["examples"] == 320
    assert "training.logical_cpus is 4, but TensorFlow was initialised with 2" in out["refused"]
