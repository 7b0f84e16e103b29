"""The test of a dependent series against a loop, scipy and simulated series."""

import math

import numpy as np
import pytest
from scipy import stats

from tfrs_pretrain.evaluation.series import SeriesMean


@pytest.mark.parametrize("length", [3, 5, 13, 21])
def test_the_statistic_is_that_of_the_paper(length):
    values = np.random.default_rng(length).normal(0.3, 1, length)
    degrees = max(1, math.floor(0.4 * length ** (2 / 3)))
    total = 0.0
    for j in range(1, degrees + 1):
        total += (math.sqrt(2 / length) * sum(
            value * math.cos(math.pi * j * (t - 0.5) / length) for t, value in enumerate(values, start=1))) ** 2
    statistic = math.sqrt(length) * values.mean() / math.sqrt(total / degrees)
    found = SeriesMean.of(values)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(statistic), degrees))
    low, high = found.interval(0.95)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, degrees) * math.sqrt(total / degrees / length))
    assert (low + high) / 2 == pytest.approx(values.mean())


def test_dependent_series_are_rarely_called_different_from_zero():
    """With neighbours correlated by .7, the t test rejects a true mean of 0 far more often than 5 %."""
    random, rejected, naive = np.random.default_rng(1), 0, 0
    for _ in range(1000):
        noise, series = random.normal(size=40), np.zeros(40)
        for t in range(1, 40):
            series[t] = 0.7 * series[t - 1] + noise[t]
        rejected += SeriesMean.of(series[19:]).p < 0.05
        naive += stats.ttest_1samp(series[19:], 0).pvalue < 0.05
    assert naive > 250
    assert rejected < 120


def test_two_windows_show_nothing():
    assert SeriesMean.of([0.1, 0.3]) == SeriesMean(0.2, None, 1, None)
    assert SeriesMean.of([0.1, 0.3]).interval(0.95) is None
