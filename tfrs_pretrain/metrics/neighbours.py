"""What rows know of a category that nobody told them: their neighbours, and their largest directions."""

from __future__ import annotations

import numpy as np


def principal_components(rows: np.ndarray, components: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """float64 [n, components] coordinates along the directions of largest variance, and [components] shares of it.

    The sign of each direction is that which makes the largest coordinate positive.
    """
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    coordinates = centred @ directions[:, ::-1][:, :components]
    peaks = coordinates[np.abs(coordinates).argmax(axis=0), np.arange(coordinates.shape[1])]
    return coordinates * np.where(peaks < 0, -1, 1), variances[::-1][:components] / max(variances.sum(), 1e-300)


def neighbour_purity(rows: np.ndarray, categories: np.ndarray, neighbours: int) -> float:
    """Mean share of each row's nearest rows by cosine, itself left out, that have its category.

    Args:
      rows: float [n, dim], n above ``neighbours``.
      categories: [n].
      neighbours: how many.
    """
    directions = unit(rows)
    shares = []
    for start in range(0, len(directions), 1024):
        similar = directions[start:start + 1024] @ directions.T
        similar[np.arange(len(similar)), start + np.arange(len(similar))] = -np.inf
        nearest = np.argpartition(-similar, neighbours - 1, axis=1)[:, :neighbours]
        shares.append((categories[nearest] == categories[start:start + 1024, None]).mean(axis=1))
    return float(np.concatenate(shares).mean())


def chance(categories: np.ndarray) -> float:
    """Probability that another item, drawn at random, has an item's category."""
    _, counts = np.unique(categories, return_counts=True)
    return float((counts * (counts - 1)).sum() / (len(categories) * (len(categories) - 1)))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1, as cosine sees them."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
