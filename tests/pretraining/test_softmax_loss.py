"""The softmax loss at extreme logits, against float64, with the thresholds that are in use."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.pretraining import softmax_loss as module
from tfrs_pretrain.pretraining.logit_positions import LogitPositions
from tfrs_pretrain.pretraining.softmax_loss import softmax_loss


def naive(queries, negatives, bias, positive):
    """The loss in float64 and its gradients with respect to queries, negatives and positive logits."""
    logits = np.asarray(queries, np.float64) @ np.asarray(negatives, np.float64).T + bias
    every = np.concatenate([logits, np.asarray(positive, np.float64)[:, None]], axis=1)
    maximum = every.max(axis=1, keepdims=True)
    totals = np.log(np.exp(every - maximum).sum(axis=1)) + maximum[:, 0]
    shares = np.exp(every - totals[:, None])
    return np.sum(totals - positive), (shares[:, :-1] @ negatives, shares[:, :-1].T @ queries, shares[:, -1] - 1)


def ours(queries, negatives, bias, positive):
    inputs = [tf.constant(values, tf.float32) for values in (queries, negatives, positive)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = softmax_loss(*inputs[:2], tf.constant(bias, tf.float32), inputs[2])
    return float(loss), [gradient.numpy() for gradient in tape.gradient(loss, inputs)]


def check(*arguments, atol=2e-5):
    """``atol`` covers float32 at the size of the logits."""
    (loss, gradients), (expected, expected_gradients) = ours(*arguments), naive(*arguments)
    assert loss == pytest.approx(expected, rel=1e-6, abs=atol)
    for gradient, twin in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, twin, rtol=1e-5, atol=atol)


def test_a_short_query_beside_a_long_one_keeps_its_loss():
    """Norms 20 and 200: the short query's logits lie 180 below the bound of all logits, where exp underflows."""
    generator = np.random.default_rng(2)
    negatives = generator.normal(size=(7, 3))
    negatives /= np.linalg.norm(negatives, axis=1, keepdims=True)
    queries = np.array([20.0, 200.0])[:, None] * negatives[:2]
    positive = (queries @ negatives[2:].T).max(axis=1) - 1.0
    check(queries, negatives[2:], np.zeros(5), positive, atol=2e-3)


@pytest.mark.parametrize("gap", [79.0, 81.0, 90.0, 200.0])
def test_a_positive_far_below_the_bound_keeps_its_gradient(gap):
    """Both sides of the threshold, and where float32 exponentials relative to the bound would underflow."""
    queries, negatives = np.array([[gap, 0.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [0.5, 0.0]])
    check(queries, negatives, np.array([0.0, -1.0]), np.array([gap, 0.0]))


@pytest.mark.parametrize("positive", [[100.0, 100.0], [100.0, -1.0]])
def test_positives_above_all_negatives_do_not_overflow(positive):
    """exp(100) overflows float32, relative to the negatives' bound (first case) or row maximum (second case)."""
    check(np.full((2, 2), 1e-3), np.full((3, 2), 1e-3), np.zeros(3), np.array(positive))


def test_extreme_logits_stay_finite():
    queries = tf.constant([[1000.0, 0.0], [-1000.0, 0.0]])
    itself = LogitPositions(tf.constant([0, 1]), tf.constant([0, 0]))
    loss = softmax_loss(queries, tf.constant([[1.0, 0.0], [-1.0, 0.0]]), tf.zeros([2]),
                                tf.constant([1000.0, -1000.0]), itself)
    assert float(loss) == pytest.approx(2000.0)  # 0 for the first query, 2000 for the second


@pytest.mark.parametrize("gap", [-1e9, 80.0, 1e9])
@pytest.mark.parametrize("spread", [1.0, 18.0])
def test_both_ways_to_take_exponentials_agree(gap, spread, monkeypatch):
    """With a spread of 18 the bound lies 73 above the lowest positive, near the largest gap that it is used for."""
    monkeypatch.setattr(module, "_MAX_GAP", gap)
    generator = np.random.default_rng(3)
    queries, negatives = (generator.normal(size=(rows, 3)) for rows in (30, 11))
    queries *= spread / np.linalg.norm(queries, axis=1, keepdims=True)
    negatives /= np.linalg.norm(negatives, axis=1, keepdims=True)
    check(queries, negatives, generator.uniform(0, 10, 11), generator.uniform(-2.5 * spread, 10, 30))
