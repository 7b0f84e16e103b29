"""Agreement between the cosine neighbourhoods of embedding rows and a categorical label unknown to training."""

from __future__ import annotations

import numpy as np

BLOCK = 1024  # rows compared with all others at a time


def neighbour_purity(matrix: np.ndarray, categories: np.ndarray, n_neighbours: int) -> float:
    """Return the mean share of a row's nearest other rows, by cosine, that have the row's category.

    Args:
      matrix: float [n, dim], n above ``n_neighbours``.
      categories: [n].
      n_neighbours: number of nearest rows that are compared.
    """
    directions = l2_normalized(matrix)
    shares = []
    for start in range(0, len(directions), BLOCK):
        similarities = directions[start:start + BLOCK] @ directions.T
        similarities[np.arange(len(similarities)), start + np.arange(len(similarities))] = -np.inf
        nearest = np.argpartition(-similarities, n_neighbours - 1, axis=1)[:, :n_neighbours]
        shares.append((categories[nearest] == categories[start:start + BLOCK, None]).mean(axis=1))
    return float(np.concatenate(shares).mean())


def chance_purity(categories: np.ndarray) -> float:
    """Return the probability that two different items drawn at random have the same category."""
    _, counts = np.unique(categories, return_counts=True)
    return float((counts * (counts - 1)).sum() / (len(categories) * (len(categories) - 1)))


def l2_normalized(matrix: np.ndarray) -> np.ndarray:
    """Return float32 [n, dim]: each row divided by its length; a zero row stays zero."""
    return np.asarray(matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12), np.float32)
