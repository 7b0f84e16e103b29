"""Principal component analysis of embedding rows."""

from __future__ import annotations

import numpy as np


def principal_components(matrix: np.ndarray, n_components: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Project rows onto the directions of largest variance.

    The sign of each direction is chosen so that the coordinate of largest magnitude is positive.

    Args:
      matrix: float [n, dim].
      n_components: number of directions.

    Returns:
      float64 [n, n_components] coordinates, and float64 [n_components] shares of the total variance, largest first.
    """
    centred = matrix.astype(np.float64) - matrix.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    coordinates = centred @ directions[:, ::-1][:, :n_components]
    peaks = coordinates[np.abs(coordinates).argmax(axis=0), np.arange(coordinates.shape[1])]
    return coordinates * np.where(peaks < 0, -1, 1), variances[::-1][:n_components] / max(variances.sum(), 1e-300)
