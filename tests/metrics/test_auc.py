"""AUC, grouped AUC and weighted AUC against naive twins and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tfrs_pretrain.metrics.auc import WeightedAuc, auc, gauc
from tfrs_pretrain.metrics.score_blocks import ScoreBlocks


def naive_auc(labels, scores):
    positives = [s for label, s in zip(labels, scores, strict=True) if label]
    negatives = [s for label, s in zip(labels, scores, strict=True) if not label]
    if not positives or not negatives:
        return None
    return sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives) / (len(positives) * len(negatives))


def naive_gauc(labels, scores, users):
    total, weight = 0.0, 0
    for user in set(users):
        rows = [i for i, u in enumerate(users) if u == user]
        value = naive_auc([labels[i] for i in rows], [scores[i] for i in rows])
        if value is not None:
            total, weight = total + len(rows) * value, weight + len(rows)
    return total / weight if weight else None


# Few distinct scores and users: ties and users with one label only are the rule.
impressions = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), st.integers(-2, 3)),
                       max_size=40)


@settings(max_examples=300, deadline=None)
@given(impressions)
def test_auc_and_gauc_equal_the_naive_twins(drawn):
    labels, scores, users = (np.array([row[i] for row in drawn]) for i in range(3))
    scores, users = scores.astype(np.float32), users.astype(np.int64)
    assert auc(labels, scores) == pytest.approx(naive_auc(labels, scores), abs=1e-12)
    assert gauc(labels, scores, users) == pytest.approx(naive_gauc(labels, scores, users), abs=1e-12)


def test_auc_of_many_impressions_equals_that_of_scikit_learn():
    random = np.random.default_rng(3)
    labels = (random.random(20_000) < 0.1).astype(np.float32)
    scores = np.round(np.clip(0.1 * labels + random.random(20_000) * 0.8, 0.01, 0.99), 3).astype(np.float32)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_gauc_weights_users_by_impressions_and_skips_users_with_one_label():
    labels = np.array([1, 0, 1, 0, 0, 0, 1, 1])
    scores = np.array([0.9, 0.1, 0.2, 0.3, 0.1, 0.3, 0.5, 0.4])
    users = np.array([7, 7, 3, 3, 3, 3, 9, 9])
    # User 7: 1.0 with weight 2; user 3: one win of three pairs, weight 4; user 9 has no negative.
    assert gauc(labels, scores, users) == pytest.approx((2 * 1.0 + 4 * 1 / 3) / 6)


def test_weighted_auc_equals_that_of_scikit_learn():
    random = np.random.default_rng(4)
    labels, scores = random.random(500) < 0.3, np.round(random.random(500), 1)
    users, weights = random.integers(0, 20, 500), random.integers(0, 4, 20)
    found = WeightedAuc(labels, scores, users, np.argsort(scores)).compute(weights)
    assert found == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights[users]), abs=1e-12)


def test_weighted_auc_is_undefined_when_a_label_has_no_weight():
    weighted = WeightedAuc(np.array([1, 0]), np.array([0.5, 0.4]), np.array([0, 1]), np.array([1, 0]))
    assert weighted.compute(np.array([1, 1])) == 1.0
    assert np.isnan(weighted.compute(np.array([0, 3])))
    assert np.isnan(weighted.compute(np.array([3, 0])))


def test_blocks_are_runs_of_equal_score_within_a_group():
    labels, scores = np.array([1, 0, 1, 0, 1, 0]), np.array([0.2, 0.2, 0.1, 0.2, 0.3, 0.1])
    blocks = ScoreBlocks.from_rows(labels, scores, np.array([5, 5, 5, 9, 9, 9]))
    assert blocks.first_block.tolist() == [0, 2]
    assert blocks.sizes.tolist() == [1, 2, 1, 1, 1]
    assert blocks.positives.tolist() == [1, 1, 0, 0, 1]
    assert blocks.group_sizes.tolist() == [3, 3]
    assert blocks.spread(np.array([7, 8])).tolist() == [7, 7, 8, 8, 8]


def test_group_numbers_too_large_to_pack_are_renumbered():
    random = np.random.default_rng(5)
    labels, scores, groups = random.random(200) < 0.4, np.round(random.random(200), 1), random.integers(0, 4, 200)
    expected = naive_gauc(labels, scores, groups)
    for large in (groups + 2**31 - 2, groups * 2**31, groups * 2**40, -groups):
        assert gauc(labels, scores, large) == pytest.approx(expected, abs=1e-12)
