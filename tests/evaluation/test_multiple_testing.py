"""Holm's adjusted p values against his stepwise procedure, and p values against SciPy."""

import numpy as np
import pytest
from scipy import stats

from tfrs_pretrain.evaluation.multiple_testing import holm, normal_p_value
from tfrs_pretrain.evaluation.student_t import p_value_over_seeds


def rejected_step_by_step(p_values, level):
    """Holm's procedure as he states it: from the smallest on, against level/m, level/(m-1), ..., until one fails."""
    rejected, left = set(), len(p_values)
    for place in np.argsort(p_values, kind="stable"):
        if p_values[place] > level / left:
            break
        rejected.add(int(place))
        left -= 1
    return rejected


def test_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("seed", range(20))
def test_rejections_are_those_of_the_stepwise_procedure(seed):
    random = np.random.default_rng(seed)
    p_values = random.beta(0.3, 3, size=random.integers(1, 30)).tolist()
    for level in (0.01, 0.05, 0.2):
        assert {place for place, p in enumerate(holm(p_values)) if p <= level} == rejected_step_by_step(p_values, level)


def test_none_stays_none_and_does_not_count():
    assert holm([None, 0.02, None, 0.03]) == [None, 0.04, None, 0.04]
    assert holm([]) == []


def test_the_chance_of_any_false_finding_stays_below_the_level():
    """Twenty true null hypotheses that share a baseline, many times."""
    random = np.random.default_rng(3)
    arms, baseline = random.normal(size=(2000, 20)), random.normal(size=(2000, 1))
    found = [[normal_p_value(value, np.sqrt(2)) for value in row] for row in arms - baseline]
    assert np.mean([min(row) <= 0.05 for row in found]) > 0.3  # what goes wrong without a correction
    assert np.mean([min(holm(row)) <= 0.05 for row in found]) < 0.05


@pytest.mark.parametrize("value", [0.0, 1e-3, -0.02, 0.3])
def test_p_value_of_a_normal_estimate_is_scipys(value):
    assert normal_p_value(value, 0.01) == pytest.approx(2 * stats.norm.sf(abs(value) / 0.01), rel=1e-9)


def test_estimates_without_spread():
    assert (normal_p_value(0.0, 0.0), normal_p_value(0.1, 0.0)) == (1.0, 0.0)
    assert (p_value_over_seeds([0.0, 0.0]), p_value_over_seeds([0.5, 0.5])) == (1.0, 0.0)
    assert p_value_over_seeds([0.5]) is None


@pytest.mark.parametrize("count", [2, 3, 5, 12])
def test_p_value_over_seeds_is_that_of_students_test(count):
    values = np.random.default_rng(count).normal(0.7, 1, size=count)
    assert p_value_over_seeds(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-9)


def test_adjusted_p_values_are_at_most_one_and_keep_their_order():
    random = np.random.default_rng(1)
    p_values = random.random(50)
    adjusted = holm(p_values.tolist())
    assert max(adjusted) == 1.0
    assert (np.diff(np.array(adjusted)[np.argsort(p_values)]) >= 0).all()
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))


def test_equal_p_values_are_adjusted_alike():
    assert holm([0.02, 0.02, 0.5]) == pytest.approx([0.06, 0.06, 0.5])


def test_one_test_needs_no_adjustment():
    assert holm([None, 0.03]) == [None, 0.03]
