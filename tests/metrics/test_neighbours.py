"""Principal components against scikit-learn, neighbour purity against a naive twin."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tfrs_pretrain.metrics.neighbours import chance, neighbour_purity, principal_components


def test_components_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    rows = (random.normal(size=(300, 8)) * np.arange(1, 9) + 5).astype(np.float32)
    points, explained = principal_components(rows)
    twin = PCA(2).fit(rows.astype(np.float64))
    assert explained == pytest.approx(twin.explained_variance_ratio_, rel=1e-6)
    assert np.abs(points) == pytest.approx(np.abs(twin.transform(rows)), rel=1e-4, abs=1e-4)
    assert (points[np.abs(points).argmax(axis=0), [0, 1]] > 0).all()


def test_purity_is_the_share_of_like_neighbours():
    random = np.random.default_rng(2)
    rows, categories = random.normal(size=(1500, 6)).astype(np.float32), random.integers(0, 4, 1500)
    shares = []
    for row in range(len(rows)):
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(rows[row])
        nearest = [other for other in np.argsort(-(rows @ rows[row]) / lengths) if other != row][:10]
        shares.append(np.mean(categories[nearest] == categories[row]))
    assert neighbour_purity(rows, categories, 10) == pytest.approx(np.mean(shares), abs=1e-4)


def test_purity_of_random_rows_is_chance_and_of_sorted_ones_is_one():
    random = np.random.default_rng(3)
    categories = random.integers(0, 3, 2000)
    rows = random.normal(size=(2000, 16))
    assert neighbour_purity(rows, categories, 10) == pytest.approx(chance(categories), abs=0.02)
    assert neighbour_purity(np.eye(3)[categories] + 0.01 * rows[:, :3], categories, 10) == 1.0
    assert chance(np.array([0, 0, 1])) == pytest.approx(1 / 3)
