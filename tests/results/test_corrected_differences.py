"""Differences of one metric and their correction, against literals computed by hand."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from tfrs_pretrain.evaluation.verdict import BETTER, SAME, UNDEFINED, WORSE
from tfrs_pretrain.results.differences import Difference, corrected, difference

PAIRS = [("warm 1", "cold 1"), ("warm 2", "cold 2"), ("warm 3", "cold 3")]


def of(verdict, p_users, p_seeds=None):
    return Difference(0.01, [0.01], (0.009, 0.011), None, verdict, p_users, p_seeds)


def held(*differences):
    return [each.holds for each in corrected(differences)]


def test_a_single_difference_needs_no_correction():
    """Whatever its p value is: the verdict already is the rule for one comparison."""
    assert held(of(BETTER, 0.2)) == [True]
    assert held(of(WORSE, 0.2)) == [True]
    assert held(of(SAME, 0.001)) == [False]
    assert held(of(UNDEFINED, None)) == [False]


def test_of_several_differences_the_corrected_p_value_decides():
    assert held(of(BETTER, 0.02), of(BETTER, 0.04)) == [True, True]  # 2 x 0.02, then 0.04
    assert held(of(BETTER, 0.03), of(BETTER, 0.04)) == [False, False]  # 2 x 0.03 also bounds the second
    assert held(of(BETTER, 0.01), of(WORSE, 0.06)) == [True, False]
    assert held(of(SAME, 0.001), of(BETTER, 0.001)) == [False, True]
    assert held(of(BETTER, 0.05), of(BETTER, 0.025)) == [True, True]  # 0.05 itself is enough


def test_a_difference_without_a_p_value_is_no_member_of_the_family():
    """So the other one is single."""
    assert held(of(UNDEFINED, None), of(BETTER, 0.2)) == [False, True]
    assert held(of(BETTER, None), of(BETTER, 0.02), of(BETTER, 0.03)) == [False, True, True]


def test_p_is_the_larger_of_both_and_corrected_by_holm():
    found = corrected([of(BETTER, 0.001, 0.02), of(BETTER, 0.03, 0.004), of(BETTER, 0.015), of(SAME, None, None)])
    assert [each.p for each in found] == [0.02, 0.03, 0.015, None]
    assert [each.p_corrected for each in found] == pytest.approx([0.045, 0.045, 0.045, None])
    assert found[0].verdict == BETTER
    assert found[0].to_json().keys() == {
        "value", "by_seed", "users", "seeds", "verdict", "p_users", "p_seeds", "p", "p_corrected", "holds"}


class FakeComparison:
    """Bootstrap results of three pairs of runs."""

    values: dict[str, float] = {"warm 1": 0.83, "warm 2": 0.85, "warm 3": 0.84, "cold 1": 0.80, "cold 2": 0.80,  # noqa: RUF012
                                "cold 3": 0.80}
    interval = (0.03, 0.05)
    error = 0.01

    def mean_difference(self, pairs, part):
        value = np.mean([self.value(one, part, "auc") - self.value(other, part, "auc") for one, other in pairs])
        low, high = self.interval
        return {"auc": {"value": value if np.isfinite(value) else None, "low": low, "high": high}}

    def value(self, name, part, metric):
        assert (part, metric) == (2, "auc")
        return self.values[name]

    def standard_error(self, pairs, metric, part):
        return self.error


def test_a_difference_has_both_intervals_and_both_p_values():
    found = difference(FakeComparison(), PAIRS, 2, "auc")
    assert found.value == pytest.approx(0.04)
    assert found.by_seed == pytest.approx([0.03, 0.05, 0.04])
    assert found.users == (0.03, 0.05)
    half_width = stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(3)
    assert found.seeds == pytest.approx((0.04 - half_width, 0.04 + half_width))
    assert found.p_users == pytest.approx(2 * stats.norm.sf(4.0))
    assert found.p_seeds == pytest.approx(stats.ttest_1samp([0.03, 0.05, 0.04], 0).pvalue)
    assert found.verdict == BETTER


def test_one_seed_has_no_interval_over_seeds():
    found = difference(FakeComparison(), PAIRS[:1], 2, "auc")
    assert (found.seeds, found.p_seeds, found.verdict) == (None, None, BETTER)


def test_seeds_that_disagree_make_a_difference_not_measurable():
    comparison = FakeComparison()
    comparison.values = comparison.values | {"warm 1": 0.70}
    assert difference(comparison, PAIRS, 2, "auc").verdict == SAME


def test_an_undefined_metric_has_no_values():
    comparison = FakeComparison()
    comparison.values, comparison.interval = comparison.values | {"warm 1": np.nan}, (None, None)
    assert dataclasses.astuple(difference(comparison, PAIRS, 2, "auc")) == (
        None, None, None, None, UNDEFINED, None, None)


def test_an_unknown_standard_error_has_no_p_value_by_user():
    comparison = FakeComparison()
    comparison.error = None
    found = difference(comparison, PAIRS, 2, "auc")
    assert found.p_users is None
    assert found.p_seeds is not None
