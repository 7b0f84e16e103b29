"""The bootstrap over users against row-copying twins, SciPy and repeated samples from a known truth."""

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from tfrs_pretrain.evaluation.bootstrap import Resampling, p_value, resample
from tfrs_pretrain.metrics.ranking import METRICS, UserMetrics, ranking_metrics

AUC, LOG_LOSS, CALIBRATION = (METRICS.index(name) for name in ("auc", "log_loss", "calibration"))


def draw(seed, users=40, rows=400):
    random = np.random.default_rng(seed)
    user = np.sort(random.integers(0, users, rows))
    scores = np.clip(random.beta(1, 3, rows) + random.normal(0, 0.1, users)[user], 0.01, 0.99)
    return (random.random(rows) < scores).astype(np.float32), scores.astype(np.float32), user


def naive_replicates(labels, scores, users, replicates, seed):
    """Copies the rows of each drawn user."""
    generator, count = np.random.default_rng(seed), users.max() + 1
    rows_of = [np.flatnonzero(users == user) for user in range(count)]
    for _ in range(replicates):
        drawn = generator.integers(0, count, count)
        rows = np.concatenate([rows_of[user] for user in drawn])
        copies = np.repeat(np.arange(count), [len(rows_of[user]) for user in drawn])
        yield ranking_metrics(labels[rows], scores[rows], copies)


def test_replicates_are_the_metrics_of_the_drawn_users_rows():
    labels, scores, users = draw(0)
    whole, replicates = resample([UserMetrics(labels, scores, users)], 40, Resampling(25, seed=5))
    assert whole[0, AUC] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    twins = naive_replicates(labels, scores, users, 25, 5)
    for replicate, twin in zip(replicates[0], twins, strict=True):
        for name in ("auc", "gauc", "log_loss", "normalized_entropy", "calibration"):
            assert replicate[METRICS.index(name)] == pytest.approx(twin[name], rel=1e-9), name


def test_intervals_agree_with_scipy():
    labels, scores, users = draw(1)
    rows_of = [np.flatnonzero(users == user) for user in range(40)]

    def auc(drawn):
        rows = np.concatenate([rows_of[int(user)] for user in drawn])
        return roc_auc_score(labels[rows], scores[rows])

    _, replicates = resample([UserMetrics(labels, scores, users)], 40, Resampling(2000))
    found = Resampling(2000, 0.9).interval(replicates[0, :, AUC])
    expected = bootstrap((np.arange(40),), auc, n_resamples=500, confidence_level=0.9, method="percentile",
                         vectorized=False, random_state=np.random.default_rng(3)).confidence_interval
    # Both ends are random: their standard error is about 4 % of the width with this number of draws.
    np.testing.assert_allclose(found, expected, atol=0.2 * (expected[1] - expected[0]))


def test_intervals_of_ratios_agree_with_scipy():
    labels, scores, users = draw(2)
    losses = np.where(labels > 0, -np.log(scores), -np.log(1 - scores))
    sums = [np.bincount(users, values, 40) for values in (losses, np.ones(400), scores, labels)]
    _, replicates = resample([UserMetrics(labels, scores, users)], 40, Resampling(4000))
    for metric, above, below in ((LOG_LOSS, 0, 1), (CALIBRATION, 2, 3)):
        expected = bootstrap((sums[above], sums[below]), lambda a, b, axis: a.sum(axis) / b.sum(axis), paired=True,
                             n_resamples=4000, method="percentile", vectorized=True,
                             random_state=np.random.default_rng(4)).confidence_interval
        np.testing.assert_allclose(Resampling(4000).interval(replicates[0, :, metric]), expected,
                                   atol=0.12 * (expected[1] - expected[0]))


def test_coverage_is_nominal_when_users_differ():
    """Labels follow the scores up to an effect of the user, so the true calibration ratio is 1. Intervals from drawing
    impressions as if they were independent contain it far less often."""
    random, held, held_by_rows, trials = np.random.default_rng(6), 0, 0, 100
    for _ in range(trials):
        users = np.repeat(np.arange(50), 20)
        scores = np.clip(random.beta(2, 3, 1000), 0.2, 0.8)
        labels = (random.random(1000) < scores + random.choice([-0.2, 0.2], 50)[users]).astype(float)
        for one_a_row in (False, True):
            groups = np.arange(1000) if one_a_row else users
            _, replicates = resample([UserMetrics(labels, scores, groups)], groups.max() + 1, Resampling(200))
            low, high = Resampling(200).interval(replicates[0, :, CALIBRATION])
            held_by_rows, held = (held_by_rows + (one_a_row and low <= 1 <= high),
                                  held + (not one_a_row and low <= 1 <= high))
    assert 0.87 < held / trials < 1
    assert held_by_rows / trials < 0.8


def test_the_interval_is_the_percentile_interval():
    values = np.random.default_rng(0).permutation(np.arange(1.0, 1000.0))
    assert Resampling(999).interval(values) == pytest.approx((25.0, 975.0))
    assert Resampling(999, 0.8).interval(values) == pytest.approx((100.0, 900.0))


def test_a_metric_defined_in_too_few_replicates_has_no_interval():
    values = np.arange(100.0)
    values[:5] = np.nan
    assert Resampling(100).interval(values) is not None
    assert p_value(values) is not None
    values[5] = np.nan
    assert Resampling(100).interval(values) is None
    assert p_value(values) is None


@pytest.mark.parametrize(("below", "above", "expected"), [
    (0, 999, 2 / 1000), (999, 0, 2 / 1000), (24, 975, 50 / 1000), (500, 499, 1.0), (0, 0, 1.0)])
def test_p_value_counts_the_rarer_side(below, above, expected):
    differences = np.concatenate([np.full(below, -0.1), np.full(above, 0.2), np.zeros(999 - below - above)])
    assert p_value(differences) == pytest.approx(expected)


@pytest.mark.parametrize("bad", [{"replicates": 0}, {"confidence": 1.0}, {"confidence": 0.0}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="replicates must be at least 1"):
        Resampling(**bad)


def test_replicates_depend_on_the_seed_and_progress_is_reported():
    labels, scores, users = draw(3)
    calls = []
    prepared = [UserMetrics(labels, scores, users)]
    first, again, other = (resample(prepared, 40, Resampling(7, seed=seed), lambda: calls.append(1))[1]
                           for seed in (1, 1, 2))
    assert len(calls) == 21
    np.testing.assert_array_equal(first, again)
    assert (first[..., AUC] != other[..., AUC]).any()


def test_every_draw_is_of_as_many_users_as_there_are():
    draws = list(Resampling(50, seed=2).draws(7))
    assert len(draws) == 50
    assert {len(weights) for weights in draws} == {7}
    assert {int(weights.sum()) for weights in draws} == {7}
    assert np.mean(draws, axis=0) == pytest.approx(np.ones(7), abs=0.45)


def test_infinite_replicates_count_as_undefined():
    values = np.arange(100.0)
    values[:6] = np.inf
    assert Resampling(100).interval(values) is None


def test_two_replicates_are_needed():
    assert Resampling(1).interval(np.array([0.5])) is None
    assert p_value(np.array([0.5])) is None
    assert Resampling(2).interval(np.array([0.5, 0.75])) == (0.5, 0.75)


def test_models_and_slices_share_the_drawn_users():
    labels, scores, users = draw(4)
    prepared = [UserMetrics(labels, scores, users), UserMetrics(labels, scores, users)]
    _, replicates = resample(prepared, 40, Resampling(5))
    np.testing.assert_array_equal(replicates[0], replicates[1])
