"""Influence of impressions against loops over all pairs; standard errors against the bootstrap over users."""

import numpy as np
import pytest

from tfrs_pretrain.evaluation.bootstrap import Resampling, resample
from tfrs_pretrain.evaluation.clustered import CLUSTERED_METRICS, clustered_error, influence, mean_difference
from tfrs_pretrain.metrics.auc import auc
from tfrs_pretrain.metrics.log_loss import log_loss
from tfrs_pretrain.metrics.ranking import METRICS, UserMetrics

TWINS = {"auc": auc, "log_loss": log_loss}


def impressions(seed, n, users=40):
    random = np.random.default_rng(seed)
    user = random.integers(0, users, n)
    taste = random.normal(size=users)[user]
    labels = (random.random(n) < 1 / (1 + np.exp(-taste))).astype(np.float32)
    first, second = (np.round(1 / (1 + np.exp(-taste * scale - random.normal(size=n))), 2).clip(0.01, 0.99)
                     for scale in (1.0, 0.6))
    return labels, first.astype(np.float32), second.astype(np.float32), user


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("metric", CLUSTERED_METRICS)
def test_a_contribution_is_what_more_weight_of_the_impression_changes(metric, weighted):
    labels, scores, _, _ = impressions(1, 30)
    weights = np.random.default_rng(2).uniform(0.5, 2, 30) if weighted else np.ones(30)
    found = influence(metric, labels, scores, weights if weighted else None)
    assert found.value == pytest.approx(TWINS[metric](labels, scores, weights), rel=1e-6)
    assert found.contributions.sum() == pytest.approx(0, abs=1e-12)
    for position in range(30):
        more = weights.copy()
        more[position] *= 1 + 1e-6
        slope = (TWINS[metric](labels, scores, more) - TWINS[metric](labels, scores, weights)) / 1e-6
        assert found.contributions[position] == pytest.approx(slope, abs=1e-6)


def test_the_error_of_a_difference_is_that_of_the_bootstrap_over_users():
    labels, first, second, users = impressions(3, 4000, users=200)
    prepared = [UserMetrics(labels, scores, users) for scores in (first, second)]
    _, replicates = resample(prepared, 200, Resampling(replicates=600))
    for metric in CLUSTERED_METRICS:
        difference = mean_difference(*([influence(metric, labels, scores)] for scores in (first, second)))
        spread = (replicates[0] - replicates[1])[:, METRICS.index(metric)].std(ddof=1)
        assert clustered_error(difference.contributions, users) == pytest.approx(spread, rel=0.1)
        spread_of_one = replicates[0][:, METRICS.index(metric)].std(ddof=1)
        contributions = influence(metric, labels, first).contributions
        assert clustered_error(contributions, users) == pytest.approx(spread_of_one, rel=0.1)
        alone = clustered_error(contributions, np.arange(4000))  # impressions of a user are alike
        assert alone < 0.8 * spread_of_one


def test_undefined_metrics_and_a_single_user():
    ones, scores = np.ones(3, np.float32), np.array([0.2, 0.3, 0.4], np.float32)
    assert np.isnan(influence("auc", ones, scores).value)
    assert np.isnan(influence("log_loss", ones, scores, np.zeros(3)).value)
    assert clustered_error(np.ones(3), np.zeros(3, np.int64)) is None
