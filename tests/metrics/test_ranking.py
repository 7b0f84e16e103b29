import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import ndcg_score, roc_auc_score

from tfrs_pretrain.metrics.auc import auc, gauc
from tfrs_pretrain.metrics.calibration import calibration, calibration_error
from tfrs_pretrain.metrics.likelihood import log_loss, normalized_entropy
from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER, METRICS, UserMetrics, ranking_metrics


def naive_auc(labels, scores):
    positives = [s for label, s in zip(labels, scores, strict=True) if label]
    negatives = [s for label, s in zip(labels, scores, strict=True) if not label]
    if not positives or not negatives:
        return None
    return sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives) / (len(positives) * len(negatives))


def naive_gauc(labels, scores, groups):
    total, weight = 0.0, 0
    for group in set(groups):
        rows = [i for i, g in enumerate(groups) if g == group]
        value = naive_auc([labels[i] for i in rows], [scores[i] for i in rows])
        if value is not None:
            total, weight = total + len(rows) * value, weight + len(rows)
    return total / weight if weight else None


# Few distinct scores and users: ties and one-sided users are the rule.
rows = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), st.integers(-2, 3)), max_size=40)


@settings(max_examples=300, deadline=None)
@given(rows)
def test_auc_and_gauc_equal_the_naive_twins(drawn):
    labels, scores, groups = (np.array([row[i] for row in drawn]) for i in range(3))
    scores, groups = scores.astype(np.float32), groups.astype(np.int64)
    assert auc(labels, scores) == pytest.approx(naive_auc(labels, scores), abs=1e-12)
    assert gauc(labels, scores, groups) == pytest.approx(naive_gauc(labels, scores, groups), abs=1e-12)


def test_agrees_with_scikit_learn_on_many_rows():
    random = np.random.default_rng(3)
    labels = (random.random(20_000) < 0.1).astype(np.float32)
    scores = np.round(np.clip(0.1 * labels + random.random(20_000) * 0.8, 0.01, 0.99), 3).astype(np.float32)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert log_loss(labels, scores) == pytest.approx(sklearn_log_loss(labels, scores.astype(np.float64)), abs=1e-12)


def test_gauc_weights_users_by_impressions_and_skips_one_sided_users():
    labels = np.array([1, 0, 1, 0, 0, 0, 1, 1])
    scores = np.array([0.9, 0.1, 0.2, 0.3, 0.1, 0.3, 0.5, 0.4])
    users = np.array([7, 7, 3, 3, 3, 3, 9, 9])
    # user 7: 1.0 with weight 2; user 3: one win of three pairs, weight 4; user 9 has no negative.
    assert gauc(labels, scores, users) == pytest.approx((2 * 1.0 + 4 * 1 / 3) / 6)


def test_log_loss_of_a_certain_mistake_is_finite_and_as_stated():
    assert log_loss(np.array([1.0]), np.array([0.0], np.float32)) == pytest.approx(16.11809565)


def test_normalized_entropy_is_one_for_the_mean_and_calibration_is_a_ratio():
    labels = np.array([1.0, 0, 0, 0])
    assert normalized_entropy(labels, np.full(4, 0.25)) == pytest.approx(1.0)
    assert normalized_entropy(labels, np.full(4, 0.5)) == pytest.approx(np.log(2) / 0.5623351446)
    assert calibration(labels, np.full(4, 0.5)) == pytest.approx(2.0)


def naive_calibration_error(labels, scores, bins=15):
    order, total = sorted(range(len(labels)), key=lambda row: scores[row]), 0.0
    cuts = [order[number * len(labels) // bins] for number in range(bins)]
    edges = sorted({scores[row] for row in cuts})
    for low, high in zip(edges, [*edges[1:], float("inf")], strict=True):
        rows = [row for row in order if low <= scores[row] < high]
        total += abs(sum(float(scores[row]) - labels[row] for row in rows))
    return total / len(labels)


def naive_recall_and_ndcg(labels, scores, requests, k):
    """Means over every order of equal scores, request by request."""
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
def test_metrics_within_requests_equal_the_mean_over_all_orders_of_equal_scores(drawn):
    by_request = {number: [row for row in drawn if row[2] == number][:6] for number in range(3)}
    rows = [row for part in by_request.values() for row in part]
    labels, scores, requests = (np.array([row[i] for row in rows], dtype) for i, dtype in enumerate(
        (np.float32, np.float32, np.int64)))
    found = ranking_metrics(labels, scores, requests, requests * 2**40 - 7)
    recall, gain = naive_recall_and_ndcg([row[0] for row in rows], scores, list(requests), 5)
    assert found["recall@5"] == pytest.approx(recall, abs=1e-12)
    assert found["ndcg@5"] == pytest.approx(gain, abs=1e-12)


def test_ndcg_agrees_with_scikit_learn():
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
    # Request 1: one of two positives among five, at place 2; request 2: a tie of one positive and one negative.
    best = 1 + 1 / np.log2(3)
    assert found["recall@5"] == pytest.approx((0.5 + 1) / 2)
    assert found["ndcg@5"] == pytest.approx(((1 / np.log2(3)) / best + best / 2) / 2)


@settings(max_examples=200, deadline=None)
@given(rows.filter(bool))
def test_calibration_error_equals_the_naive_twin(drawn):
    labels, scores = (np.array([row[i] for row in drawn], np.float64) for i in range(2))
    assert calibration_error(labels, scores) == pytest.approx(naive_calibration_error(labels, scores), abs=1e-12)
    assert ranking_metrics(labels, scores, np.zeros(len(labels), int))["calibration_error"] == pytest.approx(
        naive_calibration_error(labels, scores), abs=1e-12)


def test_calibration_error_by_hand():
    labels, scores = np.array([0, 1, 1, 1]), np.array([0.1, 0.3, 0.6, 0.8])
    # Two bins of equal mass, (0.4 - 1) and (1.4 - 2); four bins; two equal scores that a cut must not part.
    assert calibration_error(labels, scores, bins=2) == pytest.approx((0.6 + 0.6) / 4)
    assert calibration_error(labels, scores, bins=4) == pytest.approx((0.1 + 0.7 + 0.4 + 0.2) / 4)
    assert calibration_error(np.array([1, 0]), np.array([0.5, 0.5]), bins=2) == 0.0


@pytest.mark.parametrize("with_requests", [True, False])
def test_weighted_users_count_as_if_their_rows_were_repeated(with_requests):
    random = np.random.default_rng(1)
    users = random.integers(0, 40, 1500)
    labels = (random.random(1500) < 0.2).astype(np.float32)
    scores = np.round(random.random(1500), 2).astype(np.float32)
    requests = users * 10 + random.integers(0, 5, 1500) if with_requests else None
    # Users 40 to 44 exist elsewhere but have no row here.
    prepared = UserMetrics(labels, scores, users, requests)
    for _ in range(3):
        weights = np.bincount(random.integers(0, 45, 45), minlength=45)
        copies = [np.full(weights[user], row) for row, user in enumerate(users)]
        rows = np.concatenate(copies)
        number = np.concatenate([np.arange(len(copy)) for copy in copies])
        # Each copy of a user is a user of its own, with requests of its own; bins of the error stay those of the whole.
        repeated = ranking_metrics(labels[rows], scores[rows], users[rows] + 100 * number,
                                   None if requests is None else requests[rows] + 1000 * number)
        found = dict(zip(METRICS, prepared.at(weights), strict=True))
        for name in set(METRICS) - {"calibration_error"}:
            expected = np.nan if repeated[name] is None else repeated[name]
            np.testing.assert_allclose(found[name], expected, rtol=1e-10, err_msg=name)
        assert found["auc"] == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights[users]), abs=1e-12)


@pytest.mark.parametrize("count", [60, 18_000])
def test_bins_of_the_weighted_calibration_error_are_those_of_the_whole(count):
    """With few rows a user and bin is a row, with many it is a sum of rows."""
    random = np.random.default_rng(2)
    users, scores = random.integers(0, 30, count), np.sort(random.random(count))
    labels, weights = (random.random(count) < scores).astype(float), random.integers(0, 4, 30)
    found = dict(zip(METRICS, UserMetrics(labels, scores, users).at(weights), strict=True))["calibration_error"]
    bins, drawn = np.arange(count) * 15 // count, weights[users]
    gaps = [abs(np.sum((drawn * (scores - labels))[bins == number])) for number in range(15)]
    assert found == pytest.approx(sum(gaps) / drawn.sum(), rel=1e-9)


def test_metrics_have_a_direction():
    good, bad = np.array([0.9, 0.8, 0.2, 0.1]), np.array([0.4, 0.5, 0.6, 0.5])
    labels, one = np.array([1, 1, 0, 0]), np.zeros(4, int)
    better, worse = (ranking_metrics(labels, scores, one, one) for scores in (good, bad))
    for name in ("auc", "gauc", "log_loss", "normalized_entropy", "calibration_error", "ndcg@5"):
        assert (better[name] < worse[name]) == (name in LOWER_IS_BETTER), name


def test_undefined_metrics_are_none_and_json_plain():
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
