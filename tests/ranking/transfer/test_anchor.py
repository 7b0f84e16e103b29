import numpy as np
import pytest
import tensorflow as tf
from learning import batches

from tfrs_pretrain.ranking.distillation.step import label_step
from tfrs_pretrain.ranking.transfer.anchor import Anchor

INITIAL = np.array([[1.0, 2.0], [0.0, 0.0], [3.0, -1.0]], np.float32)
NOW = np.array([[1.0, 4.0], [3.0, 4.0], [3.0, -1.0], [2.0, 2.0]], np.float32)
IDS = np.array([0, 1, 2, 0])


def test_losses_and_gradients_equal_the_naive_twin_and_are_zero_for_rows_that_were_not_pretrained():
    anchor = Anchor(0.5, {"user": INITIAL}, {"user": np.array([True, False, True])})
    rows = tf.constant(NOW)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        losses = anchor.losses({"user": tf.constant(IDS)}, {"user": rows})
    held = np.array([1, 0, 1, 1])
    np.testing.assert_allclose(losses, held * 0.5 * 0.5 * ((NOW - INITIAL[IDS]) ** 2).sum(1), rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(losses, rows), held[:, None] * 0.5 * (NOW - INITIAL[IDS]), rtol=1e-6)


def test_tables_add_up():
    held = np.ones(3, bool)
    both = Anchor(2.0, {"user": INITIAL, "item": 2 * INITIAL}, {"user": held, "item": held})
    losses = both.losses({"user": tf.constant([0]), "item": tf.constant([2])},
                         {"user": tf.zeros([1, 2]), "item": tf.zeros([1, 2])})
    np.testing.assert_allclose(losses, [2.0 * 0.5 * (5 + 40)], rtol=1e-6)


@pytest.fixture
def anchored(build_arm):
    return lambda weight: build_arm(transfer={"kind": "warm_start", "pretrained_learning_rate_scale": 1.0},
                                 anchor=None if weight is None else {"weight": weight})


def train(learner):
    step = tf.function(label_step(learner), autograph=False)
    history = [{name: float(value) for name, value in step(batch).items()} for batch in batches(20)]
    return [table.numpy() for table in learner.ranker.tables.values()] + learner.ranker.network.get_weights(), history


def test_weight_zero_is_bit_identical_to_no_anchor(anchored):
    free, free_history = train(anchored(None))
    zero, zero_history = train(anchored(0.0))
    for one, other in zip(free, zero, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [values["loss"] for values in free_history] == [values["loss"] for values in zero_history]


def test_it_keeps_pretrained_rows_close_and_is_reported_separately(anchored, planted):
    (free_user, *_), _ = train(anchored(None))
    (held_user, *_), history = train(anchored(50.0))
    free, held = (np.linalg.norm(user - planted.users, axis=1)[2:].mean() for user in (free_user, held_user))
    assert held < 0.7 * free
    assert history[0]["anchor"] == 0.0
    assert history[-1]["anchor"] > 0.0
    for values in history:
        assert set(values) == {"loss", "hard", "anchor"}
        assert values["loss"] == pytest.approx(values["hard"] + values["anchor"], rel=1e-6)


def test_it_is_not_part_of_the_checkpoint(anchored):
    assert ([variable.shape for variable in anchored(1.0).variables]
            == [variable.shape for variable in anchored(None).variables])
