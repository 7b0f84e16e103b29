import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.ranking.learning.losses import MAIN_LABEL_LOSS, LabelLoss, NegativeSampling, hard_losses

LABELS = np.array([0, 1, 1, 0], np.float32)
STUDENT = np.array([-2.0, 0.5, 3.0, 1.0], np.float32)


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def cross_entropy(target, logit):
    return -(target * np.log(sigmoid(logit)) + (1 - target) * np.log(1 - sigmoid(logit)))


def test_hard_losses_equal_the_naive_twin():
    logits = tf.constant(STUDENT)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = hard_losses(LABELS, logits)
    np.testing.assert_allclose(losses, cross_entropy(LABELS, STUDENT), rtol=1e-5)
    upstream = np.array([1.0, 2.0, 0.5, 1.0], np.float32)
    expected = upstream * (sigmoid(STUDENT) - LABELS)
    gradient = tape.gradient(losses, logits, output_gradients=tf.constant(upstream))
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


def test_head_losses_are_summed_with_weights(planted):
    loss = LabelLoss.from_config(RankingConfig(labels={"long_view": 0.5, "follow": 3.0}, arms={}), planted.dataset)
    assert loss.labels == ("label", "follow", "long_view")
    logits = np.stack([STUDENT, STUDENT[::-1], -STUDENT], axis=1)
    batch = {"label": LABELS, "follow": 1 - LABELS, "long_view": np.ones(4, np.float32), "share": LABELS}
    expected = (cross_entropy(LABELS, logits[:, 0]) + 3.0 * cross_entropy(1 - LABELS, logits[:, 1])
                + 0.5 * cross_entropy(1.0, logits[:, 2]))
    np.testing.assert_allclose(loss(batch, logits), expected, rtol=1e-5)


def test_one_label_is_bit_identical_to_the_plain_cross_entropy():
    logits = tf.constant(STUDENT[:, None])
    np.testing.assert_array_equal(MAIN_LABEL_LOSS({"label": LABELS}, logits), hard_losses(LABELS, STUDENT))


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_without_effect_are_refused(weight):
    with pytest.raises(ValueError, match="finite and above 0"):
        RankingConfig(labels={"follow": weight}, arms={})


def test_negative_sampling_shifts_the_main_head_and_weights_the_others():
    loss = LabelLoss({"label": 1.0, "follow": 2.0}, NegativeSampling(rate=0.2, positives=0.4))
    logits = np.stack([STUDENT, STUDENT[::-1]], axis=1)
    follow = np.array([1, 1, 0, 0], np.float32)
    importance = np.where(LABELS == 1, 1.0, 5.0) / (0.4 * 1 + 0.6 * 5)
    expected = cross_entropy(LABELS, STUDENT + np.log(5)) + 2.0 * importance * cross_entropy(follow, logits[:, 1])
    np.testing.assert_allclose(loss({"label": LABELS, "follow": follow}, logits), expected, rtol=1e-5)


def test_the_loss_over_a_sample_has_its_minimum_at_the_rates_of_all_impressions():
    """A click rate of 0.1 and a follow rate of 0.5 after a click, 0.05 without one; one logit a head for all."""
    random = np.random.default_rng(0)
    clicked = (random.random(200_000) < 0.1).astype(np.float32)
    followed = (random.random(200_000) < np.where(clicked == 1, 0.5, 0.05)).astype(np.float32)
    retained = (clicked == 1) | (random.random(200_000) < 0.1)
    batch = {"label": clicked[retained], "follow": followed[retained]}
    loss = LabelLoss({"label": 1.0, "follow": 1.0}, NegativeSampling(0.1, float(clicked[retained].mean())))
    bias = tf.Variable(np.zeros((1, 2), np.float32))
    for _ in range(200):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss(batch, tf.tile(bias, [retained.sum(), 1])))
        bias.assign_sub(4.0 * tape.gradient(value, bias))
    np.testing.assert_allclose(sigmoid(bias[0]), [0.1, 0.1 * 0.5 + 0.9 * 0.05], rtol=0.03)
