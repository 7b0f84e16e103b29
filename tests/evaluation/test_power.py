"""Power of the t test over seeds against scipy's noncentral t distribution."""

import math

import pytest
from scipy import stats

from tfrs_pretrain.evaluation.power import SEEDS, detectable, power, power_table


@pytest.mark.parametrize("seeds", [2, 3, 10, 40])
@pytest.mark.parametrize("difference", [0.0, 0.3, 1.0])
def test_power_is_that_of_the_noncentral_t_distribution(seeds, difference):
    limit = stats.t.ppf(0.975, seeds - 1)
    shift = difference * math.sqrt(seeds) / 0.5
    expected = stats.nct.sf(limit, seeds - 1, shift) + stats.nct.cdf(-limit, seeds - 1, shift)
    assert power(difference, 0.5, seeds) == pytest.approx(expected, abs=2e-3)


def test_the_detectable_difference_has_the_requested_power():
    assert power(detectable(0.02, 10), 0.02, 10) == pytest.approx(0.8, abs=1e-6)
    assert detectable(0.02, 10, probability=0.9) > detectable(0.02, 10)
    assert detectable(0.0, 10) == 0.0


def test_the_table_pools_the_deviations_of_all_comparisons():
    table = power_table([[0.1, 0.3], [0.0, 0.4, 0.2], [0.5]])
    deviation = math.sqrt((0.02 + 0.04) / 2)
    assert table["deviation"] == pytest.approx(deviation)
    assert table["detectable"] == {str(seeds): detectable(table["deviation"], seeds) for seeds in SEEDS}
    assert power_table([[0.5]]) is None
