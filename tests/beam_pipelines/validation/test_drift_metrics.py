"""Drift metrics against literals and scipy."""

import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from beam_pipelines.validation.drift_metrics import (
    Histogram,
    categorical_psi,
    kolmogorov_smirnov,
    numeric_psi,
    population_stability_index,
)
from beam_pipelines.validation.record_statistics import bfloat16_bins, count_bins


def _histogram(values, missing: int = 0) -> Histogram:
    return Histogram(*count_bins(bfloat16_bins(np.asarray(values, np.float32))), missing)


def test_psi_of_two_groups():
    # Shares (10.5, 30.5) / 41 and (20.5, 20.5) / 41.
    p, q = 10.5 / 41, 0.5
    expected = (p - q) * math.log(p / q) + (1 - p - q) * math.log((1 - p) / q)
    assert population_stability_index(np.array([10, 30]), np.array([20, 20])) == pytest.approx(expected, rel=1e-12)
    assert population_stability_index(np.array([3, 4]), np.array([3, 4])) == 0
    assert math.isfinite(population_stability_index(np.array([0, 7]), np.array([7, 0])))


def test_bins_keep_the_order_of_floats():
    values = np.array([-np.float32(3e38), -5, -1e-30, -0.0, 0.0, 1e-30, 0.9, 1, 1.1, 3e38], np.float32)
    bins = bfloat16_bins(values)
    assert (np.diff(bins) >= 0).all()
    assert bins[3] == bins[4]
    assert len(set(bins.tolist())) == 9


def test_ks_agrees_with_scipy_on_values_that_bfloat16_holds():
    generator = np.random.default_rng(0)
    one, other = generator.integers(-100, 100, 500), generator.integers(-80, 120, 300)
    assert kolmogorov_smirnov(_histogram(one), _histogram(other)) == pytest.approx(ks_2samp(one, other).statistic)
    assert kolmogorov_smirnov(_histogram([]), _histogram(other)) == 0


def test_float_stability_groups_by_tenths_of_the_reference():
    reference = np.arange(100)
    moved = np.where(reference < 10, 95, reference)  # the lowest tenth joins the highest
    group = np.full(10, 10)
    group[0], group[9] = 0, 20
    expected = population_stability_index(np.append(group, 0), np.append(np.full(10, 10), 0))
    assert numeric_psi(_histogram(moved), _histogram(reference)) == pytest.approx(expected)
    assert numeric_psi(_histogram(reference), _histogram(reference)) == 0
    assert numeric_psi(_histogram(reference, missing=50), _histogram(reference)) > 0.5
    assert numeric_psi(_histogram([], missing=5), _histogram([], missing=7)) < 0.01


def test_category_stability_follows_values():
    assert categorical_psi({"a": 5, None: 3}, {None: 3, "a": 5}) == 0
    assert categorical_psi({"a": 5, "new": 5}, {"a": 10}) > 0.2
    many = {str(number): 1 for number in range(1000)}
    assert categorical_psi(many, many) == 0
