"""Numbers as the ranking network receives them."""

import numpy as np

from tfrs_pretrain.features.ranker_input import NumericStatistics


def test_missing_numbers_become_the_mean_and_a_constant_feature_stays_finite():
    values = np.array([5.0, np.nan, 3.0, -1.0], np.float32)
    np.testing.assert_allclose(NumericStatistics(3.0, 2.0).normalize(values), [1.0, 0.0, 0.0, -2.0])
    np.testing.assert_allclose(NumericStatistics(5.0, 0.0).normalize(values), [0.0, 0.0, -2.0, -6.0])


def test_long_tails_are_normalised_on_a_logarithmic_scale():
    values = np.array([np.e - 1, 0.0, 1 - np.e, np.nan, np.e**3 - 1], np.float32)
    np.testing.assert_allclose(NumericStatistics(1.0, 2.0, log1p=True).normalize(values),
                               [0.0, -0.5, -1.0, 0.0, 1.0], atol=1e-6)
