"""Neighbour purity against a naive twin."""

import numpy as np
import pytest

from tfrs_pretrain.metrics.neighbour_purity import chance_purity, l2_normalized, neighbour_purity


def test_purity_is_the_share_of_neighbours_with_the_same_category():
    random = np.random.default_rng(2)
    matrix, categories = random.normal(size=(1500, 6)).astype(np.float32), random.integers(0, 4, 1500)
    shares = []
    for row in range(len(matrix)):
        lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(matrix[row])
        nearest = [other for other in np.argsort(-(matrix @ matrix[row]) / lengths) if other != row][:10]
        shares.append(np.mean(categories[nearest] == categories[row]))
    assert neighbour_purity(matrix, categories, 10) == pytest.approx(np.mean(shares), abs=1e-4)


def test_purity_of_random_rows_is_chance_and_of_separated_clusters_is_one():
    random = np.random.default_rng(3)
    categories = random.integers(0, 3, 2000)
    matrix = random.normal(size=(2000, 16))
    assert neighbour_purity(matrix, categories, 10) == pytest.approx(chance_purity(categories), abs=0.02)
    assert neighbour_purity(np.eye(3)[categories] + 0.01 * matrix[:, :3], categories, 10) == 1.0
    assert chance_purity(np.array([0, 0, 1])) == pytest.approx(1 / 3)


def test_neighbours_are_found_by_direction_not_by_length():
    matrix = np.array([[1, 0], [100, 1], [0, 1], [1, 90], [0.9, 0.1]], np.float32)
    assert neighbour_purity(matrix, np.array([0, 0, 1, 1, 0]), 1) == 1.0


def test_normalized_rows_have_length_one_and_a_zero_row_stays_zero():
    normalized = l2_normalized(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(normalized, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
    assert normalized.dtype == np.float32
