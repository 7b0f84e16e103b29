"""Calibration metrics against scikit-learn's calibration curve, a naive twin and literals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from tfrs_pretrain.metrics.calibration import bin_starts, calibration, calibration_error, reliability
from tfrs_pretrain.metrics.ranking import ranking_metrics


def drawn_impressions(n=15_000):
    random = np.random.default_rng(0)
    scores = random.beta(1, 6, n)
    return (random.random(n) < scores**1.2).astype(np.float32), scores


def naive_calibration_error(labels, scores, bins=15):
    order, total = sorted(range(len(labels)), key=lambda row: scores[row]), 0.0
    cuts = [order[number * len(labels) // bins] for number in range(bins)]
    edges = sorted({scores[row] for row in cuts})
    for low, high in zip(edges, [*edges[1:], float("inf")], strict=True):
        rows = [row for row in order if low <= scores[row] < high]
        total += abs(sum(float(scores[row]) - labels[row] for row in rows))
    return total / len(labels)


def test_calibration_is_the_ratio_of_mean_prediction_to_mean_label():
    assert calibration(np.array([1.0, 0, 0, 0]), np.full(4, 0.5)) == pytest.approx(2.0)
    assert calibration(np.array([1.0, 1.0]), np.array([0.5, 0.4])) == pytest.approx(0.45)
    assert calibration(np.zeros(2), np.full(2, 0.5)) is None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])), min_size=1, max_size=40))
def test_calibration_error_equals_the_naive_twin(drawn):
    labels, scores = (np.array([row[i] for row in drawn], np.float64) for i in range(2))
    assert calibration_error(labels, scores) == pytest.approx(naive_calibration_error(labels, scores), abs=1e-12)
    assert ranking_metrics(labels, scores, np.zeros(len(labels), int))["calibration_error"] == pytest.approx(
        naive_calibration_error(labels, scores), abs=1e-12)


def test_calibration_error_by_hand():
    labels, scores = np.array([0, 1, 1, 1]), np.array([0.1, 0.3, 0.6, 0.8])
    # Two bins of equal mass, (0.4 - 1) and (1.4 - 2); four bins; two equal scores that must share a bin.
    assert calibration_error(labels, scores, bins=2) == pytest.approx((0.6 + 0.6) / 4)
    assert calibration_error(labels, scores, bins=4) == pytest.approx((0.1 + 0.7 + 0.4 + 0.2) / 4)
    assert calibration_error(np.array([1, 0]), np.array([0.5, 0.5]), bins=2) == 0.0
    assert calibration_error(np.zeros(0), np.zeros(0)) is None


def test_impressions_need_not_be_sorted_by_score():
    labels, scores = drawn_impressions(500)
    order = np.random.default_rng(1).permutation(500)
    assert calibration_error(labels[order], scores[order]) == pytest.approx(calibration_error(labels, scores))


def test_reliability_bins_equal_those_of_scikit_learn():
    labels, scores = drawn_impressions()
    points = reliability(labels, scores, bins=10)
    rates, means = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    assert [point["rate"] for point in points] == pytest.approx(rates, abs=2e-3)  # its quantiles are interpolated
    assert [point["score"] for point in points] == pytest.approx(means, abs=2e-3)
    assert [point["count"] for point in points] == [1500] * 10


def test_reliability_and_calibration_error_have_the_same_bins():
    labels, scores = drawn_impressions()
    points = reliability(labels, scores)
    error = sum(point["count"] * abs(point["score"] - point["rate"]) for point in points) / len(labels)
    assert calibration_error(labels, scores) == pytest.approx(error)


def test_equal_scores_share_a_bin():
    points = reliability(np.array([1, 0, 0, 1]), np.array([0.5, 0.5, 0.5, 0.9]), bins=4)
    assert points == [{"score": pytest.approx(0.5), "rate": pytest.approx(1 / 3), "count": 3},
                      {"score": pytest.approx(0.9), "rate": 1.0, "count": 1}]
    assert reliability(np.zeros(0), np.zeros(0)) == []


def test_a_bin_starts_at_the_first_of_its_equal_scores():
    assert bin_starts(np.array([0.1, 0.2, 0.2, 0.2, 0.3, 0.4]), bins=3).tolist() == [0, 1, 4]
    assert bin_starts(np.array([0.1, 0.2]), bins=15).tolist() == [0, 1]
