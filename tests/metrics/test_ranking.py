import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from tfrs_pretrain.metrics.ranking import auc, calibration, gauc, log_loss, normalized_entropy, ranking_metrics


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


def test_undefined_metrics_are_none_and_json_plain():
    empty = np.zeros(0, np.float32)
    assert ranking_metrics(empty, empty, np.zeros(0, np.int64)) == {
        "impressions": 0, "positives": 0, "auc": None, "gauc": None, "log_loss": None, "normalized_entropy": None,
        "calibration": None}
    negatives = ranking_metrics(np.zeros(2), np.array([0.5, 0.5]), np.array([1, 2]))
    assert {negatives[name] for name in ("auc", "gauc", "normalized_entropy", "calibration")} == {None}
    assert negatives["log_loss"] == pytest.approx(0.6931471806)
    full = ranking_metrics(np.array([1.0, 0]), np.array([0.5, 0.25], np.float32), np.array([1, 1]))
    assert {type(value) for value in full.values()} == {int, float}
