"""Metrics of weighted impressions against scikit-learn's sample_weight, naive twins, and repeated impressions."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from tfrs_pretrain.metrics.auc import auc
from tfrs_pretrain.metrics.calibration import reliability
from tfrs_pretrain.metrics.log_loss import log_loss
from tfrs_pretrain.metrics.ranking import METRICS, UserMetrics, ranking_metrics


@pytest.fixture
def drawn():
    """labels, scores with ties, users, weights of which a tenth is 0."""
    random = np.random.default_rng(5)
    scores = np.round(random.random(900), 2).astype(np.float32)
    labels = (random.random(900) < scores).astype(np.float32)
    weights = random.exponential(2.0, 900) * (random.random(900) < 0.9)
    return labels, scores, random.integers(0, 30, 900), weights.astype(np.float32)


def naive_gauc(labels, scores, users, weights):
    found = []
    for user in set(users):
        own = (users == user) & (weights > 0)
        if 0 < labels[own].mean() < 1:
            found.append((sklearn.roc_auc_score(labels[own], scores[own], sample_weight=weights[own]),
                          weights[own].sum()))
    values, masses = zip(*found, strict=True)
    return np.average(values, weights=masses)


def test_all_metrics_equal_those_of_scikit_learn_with_sample_weights(drawn):
    labels, scores, users, weights = drawn
    found = ranking_metrics(labels, scores, users, weights=weights)
    wide, heavy = scores.astype(np.float64), weights.astype(np.float64)
    loss = sklearn.log_loss(labels, np.clip(wide, 1e-7, 1 - 1e-7), sample_weight=heavy)
    rate = np.average(labels, weights=heavy)
    assert found["auc"] == pytest.approx(sklearn.roc_auc_score(labels, scores, sample_weight=heavy), abs=1e-12)
    assert found["gauc"] == pytest.approx(naive_gauc(labels, scores, users, heavy), abs=1e-12)
    assert found["log_loss"] == pytest.approx(loss, rel=1e-9)
    assert found["normalized_entropy"] == pytest.approx(
        loss / -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate)), rel=1e-9)
    assert found["calibration"] == pytest.approx((heavy * wide).sum() / (heavy * labels).sum(), rel=1e-9)
    assert (found["impressions"], found["positives"]) == (900, labels.sum())
    assert auc(labels, scores, heavy) == pytest.approx(found["auc"], abs=1e-12)
    assert log_loss(labels, scores, heavy) == pytest.approx(loss, rel=1e-9)


def test_the_calibration_error_weights_the_gap_of_each_bin(drawn):
    labels, _, users, weights = drawn
    scores = np.linspace(0, 1, 900)
    bins = np.arange(900) * 15 // 900
    gaps = [abs((weights * (scores - labels))[bins == number].sum()) for number in range(15)]
    assert ranking_metrics(labels, scores, users, weights=weights)["calibration_error"] == pytest.approx(
        sum(gaps) / weights.sum(), rel=1e-6)
    points = reliability(labels, scores, weights=weights.astype(np.float64))
    assert [point["count"] for point in points] == [60] * 15
    assert points[3]["rate"] == pytest.approx(np.average(labels[bins == 3], weights=weights[bins == 3]))
    assert points[3]["score"] == pytest.approx(np.average(scores[bins == 3], weights=weights[bins == 3]))


def test_drawn_users_multiply_the_weights_of_their_impressions(drawn):
    labels, scores, users, weights = drawn
    counts = np.bincount(np.random.default_rng(1).integers(0, 30, 30), minlength=30)
    found = dict(zip(METRICS, UserMetrics(labels, scores, users, None, weights).compute(counts), strict=True))
    product = weights.astype(np.float64) * counts[users]
    assert found["auc"] == pytest.approx(sklearn.roc_auc_score(labels, scores, sample_weight=product), abs=1e-12)
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(
        labels, np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7), sample_weight=product), rel=1e-9)


def test_whole_weights_count_as_if_impressions_were_repeated(drawn):
    labels, scores, users, _ = drawn
    weights = np.random.default_rng(2).integers(0, 4, 900)
    rows = np.repeat(np.arange(900), weights)
    found, repeated = (ranking_metrics(*columns) for columns in (
        (labels, scores, users, None, weights), (labels[rows], scores[rows], users[rows])))
    for name in ("auc", "gauc", "log_loss", "normalized_entropy", "calibration"):
        assert found[name] == pytest.approx(repeated[name], rel=1e-10), name


def test_requests_count_each_impression_once(drawn):
    labels, scores, _, weights = drawn
    requests = np.arange(900) // 6
    found, plain = (ranking_metrics(labels, scores, requests, requests, each) for each in (weights, None))
    assert found["ndcg@5"] == plain["ndcg@5"] is not None
    assert found["auc"] != plain["auc"]


def test_without_weight_there_are_no_metrics(drawn):
    labels, scores, users, _ = drawn
    found = ranking_metrics(labels, scores, users, weights=np.zeros(900))
    assert [found[name] for name in METRICS if "@" not in name] == [None] * 6
    assert log_loss(labels, scores, np.zeros(900)) is None
    assert auc(labels, scores, np.zeros(900)) is None
    assert reliability(labels, scores, weights=np.zeros(900)) == []
    assert ranking_metrics(labels[:0], scores[:0], users[:0], weights=np.zeros(0))["auc"] is None
