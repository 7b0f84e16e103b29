"""Principal components against scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tfrs_pretrain.metrics.principal_components import principal_components


def test_components_equal_those_of_scikit_learn_up_to_sign():
    random = np.random.default_rng(1)
    matrix = (random.normal(size=(300, 8)) * np.arange(1, 9) + 5).astype(np.float32)
    points, explained = principal_components(matrix)
    twin = PCA(2).fit(matrix.astype(np.float64))
    assert explained == pytest.approx(twin.explained_variance_ratio_, rel=1e-6)
    assert np.abs(points) == pytest.approx(np.abs(twin.transform(matrix)), rel=1e-4, abs=1e-4)


def test_the_coordinate_of_largest_magnitude_is_positive():
    for seed in range(8):
        points, _ = principal_components(np.random.default_rng(seed).normal(size=(20, 4)), n_components=3)
        assert (points[np.abs(points).argmax(axis=0), [0, 1, 2]] > 0).all()


def test_identical_rows_have_no_variance_to_explain():
    points, explained = principal_components(np.ones((5, 3), np.float32))
    np.testing.assert_array_equal(points, np.zeros((5, 2)))
    np.testing.assert_array_equal(explained, np.zeros(2))
