"""Student's interval and quantiles against SciPy."""

import numpy as np
import pytest
from scipy import stats

from tfrs_pretrain.evaluation.student_t import interval_over_seeds, t_quantile


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 10, 31, 200])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_quantiles_are_scipys(degrees, confidence):
    assert t_quantile(confidence, degrees) == pytest.approx(stats.t.ppf((1 + confidence) / 2, degrees), rel=1e-9)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_interval_is_that_of_a_paired_t_test(count):
    random = np.random.default_rng(count)
    one, other = random.normal(size=(2, count))
    expected = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert interval_over_seeds(one - other, 0.95) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_one_seed_has_no_interval():
    assert interval_over_seeds([0.3], 0.95) is None


def test_a_confidence_of_half_of_one_degree_of_freedom_is_one():
    """Student's distribution with one degree of freedom is Cauchy's, whose quartiles are -1 and 1."""
    assert t_quantile(0.5, 1) == pytest.approx(1.0, rel=1e-12)


def test_equal_values_have_an_interval_of_no_width():
    assert interval_over_seeds([0.25, 0.25, 0.25], 0.95) == (0.25, 0.25)


def test_a_larger_confidence_has_a_wider_interval():
    values = [0.1, 0.4, 0.3]
    narrow, wide = interval_over_seeds(values, 0.8), interval_over_seeds(values, 0.95)
    assert wide[0] < narrow[0] < np.mean(values) < narrow[1] < wide[1]
    assert np.mean(wide) == pytest.approx(np.mean(values))
