"""Metrics within requests against naive twins, and user-weighted metrics against repeated impressions."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER, METRICS, UserMetrics, by_name, ranking_metrics


def naive_recall_and_ndcg(labels, scores, requests, k):
    """Means over every order of tied impressions, request by request."""
    recalls, gains = [], []
    for request in set(requests):
        rows = [row for row in range(len(labels)) if requests[row] == request]
        positives = sum(labels[row] for row in rows)
        if not 0 < positives < len(rows):
            continue
        orders = [order for order in itertools.permutations(rows)
                  if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))]
        best = sum(1 / np.log2(place + 2) for place in range(min(k, positives)))
        recalls.append(np.mean([sum(labels[row] for row in order[:k]) / positives for order in orders]))
        gains.append(np.mean([sum(labels[row] / np.log2(place + 2) for place, row in enumerate(order[:k]))
                              for order in orders]) / best)
    return (np.mean(recalls), np.mean(gains)) if recalls else (None, None)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.25, 0.5]), st.integers(0, 2)), max_size=15))
def test_metrics_within_requests_are_means_over_all_orders_of_tied_impressions(drawn):
    by_request = {number: [row for row in drawn if row[2] == number][:6] for number in range(3)}
    rows = [row for part in by_request.values() for row in part]
    labels, scores, requests = (np.array([row[i] for row in rows], dtype) for i, dtype in enumerate(
        (np.float32, np.float32, np.int64)))
    found = ranking_metrics(labels, scores, requests, requests * 2**40 - 7)
    recall, gain = naive_recall_and_ndcg([row[0] for row in rows], scores, list(requests), 5)
    assert found["recall@5"] == pytest.approx(recall, abs=1e-12)
    assert found["ndcg@5"] == pytest.approx(gain, abs=1e-12)


def test_ndcg_equals_that_of_scikit_learn():
    random = np.random.default_rng(5)
    labels, scores = random.random((60, 20)) < 0.2, np.round(random.random((60, 20)), 1)
    both = labels.any(1)
    requests = np.repeat(np.arange(60), 20)
    found = ranking_metrics(labels.ravel().astype(np.float32), scores.ravel(), requests // 2, requests)
    for k in (5, 10):
        assert found[f"ndcg@{k}"] == pytest.approx(ndcg_score(labels[both], scores[both], k=k), abs=1e-12)


def test_recall_and_ndcg_by_hand():
    labels = np.array([0, 1, 0, 0, 0, 0, 1, 1, 0])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.2])
    requests = np.array([1] * 7 + [2] * 2)
    found = ranking_metrics(labels, scores, np.array([5] * 7 + [6] * 2), requests)
    # Request 1: one of two positives among the first five, at position 2; request 2: a positive tied with a negative.
    best = 1 + 1 / np.log2(3)
    assert found["recall@5"] == pytest.approx((0.5 + 1) / 2)
    assert found["ndcg@5"] == pytest.approx(((1 / np.log2(3)) / best + best / 2) / 2)


@pytest.mark.parametrize("with_requests", [True, False])
def test_weighted_users_count_as_if_their_impressions_were_repeated(with_requests):
    random = np.random.default_rng(1)
    users = random.integers(0, 40, 1500)
    labels = (random.random(1500) < 0.2).astype(np.float32)
    scores = np.round(random.random(1500), 2).astype(np.float32)
    requests = users * 10 + random.integers(0, 5, 1500) if with_requests else None
    # Users 40 to 44 have weights but no impressions.
    prepared = UserMetrics(labels, scores, users, requests)
    for _ in range(3):
        weights = np.bincount(random.integers(0, 45, 45), minlength=45)
        copies = [np.full(weights[user], row) for row, user in enumerate(users)]
        rows = np.concatenate(copies)
        number = np.concatenate([np.arange(len(copy)) for copy in copies])
        # Each copy of a user is a separate user with separate requests. The bins of the calibration error do not move.
        repeated = ranking_metrics(labels[rows], scores[rows], users[rows] + 100 * number,
                                   None if requests is None else requests[rows] + 1000 * number)
        found = dict(zip(METRICS, prepared.compute(weights), strict=True))
        for name in set(METRICS) - {"calibration_error"}:
            expected = np.nan if repeated[name] is None else repeated[name]
            np.testing.assert_allclose(found[name], expected, rtol=1e-10, err_msg=name)
        assert found["auc"] == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights[users]), abs=1e-12)


@pytest.mark.parametrize("count", [60, 18_000])
def test_bins_of_the_weighted_calibration_error_are_those_of_all_impressions(count):
    """60 impressions are summed one by one, 18,000 are summed by user and bin beforehand."""
    random = np.random.default_rng(2)
    users, scores = random.integers(0, 30, count), np.sort(random.random(count))
    labels, weights = (random.random(count) < scores).astype(float), random.integers(0, 4, 30)
    found = dict(zip(METRICS, UserMetrics(labels, scores, users).compute(weights), strict=True))["calibration_error"]
    bins, drawn = np.arange(count) * 15 // count, weights[users]
    gaps = [abs(np.sum((drawn * (scores - labels))[bins == number])) for number in range(15)]
    assert found == pytest.approx(sum(gaps) / drawn.sum(), rel=1e-9)


def test_lower_is_better_names_the_metrics_that_fall_with_better_scores():
    good, bad = np.array([0.9, 0.8, 0.2, 0.1]), np.array([0.4, 0.5, 0.6, 0.5])
    labels, one = np.array([1, 1, 0, 0]), np.zeros(4, int)
    better, worse = (ranking_metrics(labels, scores, one, one) for scores in (good, bad))
    for name in ("auc", "gauc", "log_loss", "normalized_entropy", "calibration_error", "ndcg@5"):
        assert (better[name] < worse[name]) == (name in LOWER_IS_BETTER), name


def test_undefined_metrics_are_none_and_values_are_plain_python_numbers():
    empty = np.zeros(0, np.float32)
    assert ranking_metrics(empty, empty, np.zeros(0, np.int64)) == {
        "impressions": 0, "positives": 0, "auc": None, "gauc": None, "log_loss": None, "normalized_entropy": None,
        "calibration": None, "calibration_error": None, "recall@5": None, "ndcg@5": None, "recall@10": None,
        "ndcg@10": None}
    negatives = ranking_metrics(np.zeros(2), np.array([0.5, 0.5]), np.array([1, 2]))
    assert {negatives[name] for name in ("auc", "gauc", "normalized_entropy", "calibration")} == {None}
    assert negatives["log_loss"] == pytest.approx(0.6931471806)
    full = ranking_metrics(np.array([1.0, 0]), np.array([0.5, 0.25], np.float32), np.array([1, 1]),
                           np.array([3, 3]))
    assert {type(value) for value in full.values()} == {int, float}


def test_values_get_their_names_in_order():
    values = np.arange(len(METRICS), dtype=float)
    values[1] = np.nan
    assert by_name(values) == {name: None if name == "gauc" else float(i) for i, name in enumerate(METRICS)}
    with pytest.raises(ValueError, match="zip"):
        by_name(values[:-1])


def test_users_without_weight_leave_every_metric_undefined():
    prepared = UserMetrics(np.array([1.0, 0.0]), np.array([0.6, 0.3]), np.array([0, 0]), np.array([0, 0]))
    assert np.isnan(prepared.compute(np.array([0]))).all()
    assert np.isfinite(prepared.compute(np.array([2]))).all()


@pytest.mark.parametrize(("has_weights", "most"), [(False, 85), (True, 102)])
def test_memory_of_an_impression(has_weights, most):
    random, n = np.random.default_rng(3), 100_000
    requests = np.sort(random.integers(0, n // 10, n))
    columns = ((random.random(n) < 0.1).astype(np.float32), random.random(n, np.float32),
               (requests // 2).astype(np.int32), requests, random.random(n, np.float32) if has_weights else None)
    tracemalloc.start()
    try:
        prepared = UserMetrics(*columns)
        retained, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / n < most
    assert retained / n < 30
    assert prepared.compute(np.ones(requests.max() // 2 + 1, np.int64))[0] == pytest.approx(0.5, abs=0.02)
