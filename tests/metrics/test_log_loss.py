"""Log loss and normalized entropy against scikit-learn, scipy and literals."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import log_loss as sklearn_log_loss

from tfrs_pretrain.metrics.log_loss import entropy, log_loss, negative_log_likelihoods, normalized_entropy


def test_log_loss_of_many_impressions_equals_that_of_scikit_learn():
    random = np.random.default_rng(3)
    labels = (random.random(20_000) < 0.1).astype(np.float32)
    scores = np.clip(0.1 * labels + random.random(20_000) * 0.8, 0.01, 0.99).astype(np.float32)
    assert log_loss(labels, scores) == pytest.approx(sklearn_log_loss(labels, scores.astype(np.float64)), abs=1e-12)


def test_log_loss_of_a_certain_mistake_is_finite_and_as_documented():
    assert log_loss(np.array([1.0]), np.array([0.0], np.float32)) == pytest.approx(16.11809565)
    assert log_loss(np.array([0.0]), np.array([1.0])) == pytest.approx(16.11809565)


def test_each_impression_has_its_own_loss_in_double_precision():
    losses = negative_log_likelihoods(np.array([1, 0], np.float32), np.array([0.25, 0.25], np.float32))
    np.testing.assert_allclose(losses, [1.3862943611198906, 0.2876820724517809], rtol=1e-15)
    assert losses.dtype == np.float64


def test_normalized_entropy_is_one_for_the_mean_label():
    labels = np.array([1.0, 0, 0, 0])
    assert normalized_entropy(labels, np.full(4, 0.25)) == pytest.approx(1.0)
    assert normalized_entropy(labels, np.full(4, 0.5)) == pytest.approx(np.log(2) / 0.5623351446)


def test_entropy_equals_that_of_scipy():
    for rate in (0.001, 0.25, 0.5, 0.9):
        assert entropy(rate) == pytest.approx(stats.bernoulli(rate).entropy(), rel=1e-12)


@pytest.mark.parametrize("labels", [[], [0.0, 0.0], [1.0]])
def test_normalized_entropy_needs_both_labels(labels):
    assert normalized_entropy(np.array(labels), np.full(len(labels), 0.3)) is None


def test_no_impressions_have_no_log_loss():
    assert log_loss(np.zeros(0), np.zeros(0)) is None
