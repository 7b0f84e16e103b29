"""Reliability bins against scikit-learn's calibration curve."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from tfrs_pretrain.metrics.calibration import calibration_error, reliability


def drawn(rows=15_000):
    random = np.random.default_rng(0)
    scores = random.beta(1, 6, rows)
    return (random.random(rows) < scores**1.2).astype(np.float32), scores


def test_bins_are_those_of_scikit_learn():
    labels, scores = drawn()
    found = reliability(labels, scores, bins=10)
    rates, means = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    assert [one["rate"] for one in found] == pytest.approx(rates, abs=2e-3)  # quantiles between rows there
    assert [one["score"] for one in found] == pytest.approx(means, abs=2e-3)
    assert [one["count"] for one in found] == [1500] * 10


def test_bins_give_the_calibration_error():
    labels, scores = drawn()
    found = reliability(labels, scores)
    error = sum(one["count"] * abs(one["score"] - one["rate"]) for one in found) / len(labels)
    assert calibration_error(labels, scores) == pytest.approx(error)


def test_equal_scores_share_a_bin_and_nothing_has_none():
    found = reliability(np.array([1, 0, 0, 1]), np.array([0.5, 0.5, 0.5, 0.9]), bins=4)
    assert found == [{"score": pytest.approx(0.5), "rate": pytest.approx(1 / 3), "count": 3},
                     {"score": pytest.approx(0.9), "rate": 1.0, "count": 1}]
    assert reliability(np.zeros(0), np.zeros(0)) == []
