"""Starts and learning rates of pretrained rows that follow the number of engagements behind each row.

A row that few engagements determine is an uncertain estimate. As in empirical Bayes estimation, it starts nearer to the
mean row and moves faster than a certain one (B. Efron, C. Morris, "Stein's Paradox in Statistics", 1977).
"""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.vocabulary import Vocabulary


def evidence_weights(vocabulary: Vocabulary, evidence: float) -> np.ndarray:
    """Compute the weight of each row's own value against the mean row: ``count / (count + evidence)``.

    Args:
      vocabulary: provides the engagements of each id in the pretraining window.
      evidence: number of engagements at which both have the same weight.

    Returns:
      float32 [num_rows], 0 for ids without engagements and for shared rows.
    """
    counts = vocabulary.row_counts
    return np.where(counts > 0, counts / np.maximum(counts + evidence, 1e-9), 0.0).astype(np.float32)


def shrunk_rows(matrix: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Move each row towards the mean row, the further the smaller its weight.

    Args:
      matrix: float32 [num_rows, dim].
      weights: float32 [num_rows], from 0 to 1; the mean is weighted with them.

    Returns:
      float32 [num_rows, dim]; the matrix itself if no row has a weight.
    """
    total = weights.sum(dtype=np.float64)
    if not total:
        return matrix
    # einsum converts blocks of the matrix: a table may be too large for a second copy in float64.
    mean = (np.einsum("r,rd->d", weights, matrix, dtype=np.float64) / total).astype(np.float32)
    shrunk: np.ndarray = matrix - mean
    shrunk *= weights[:, None]
    shrunk += mean
    return shrunk


def evidence_scales(vocabulary: Vocabulary, scale: float, evidence: float) -> np.ndarray:
    """Compute the factor of each row's learning rate.

    The row of an id without engagements has factor 1; with more engagements the factor approaches ``scale``, with the
    weights of a shrinkage estimator: ``scale + (1 - scale) * evidence / (count + evidence)``. A row that unknown ids
    share has factor ``scale``: it stands for many ids, and at a larger rate it would follow the last of them.

    Args:
      vocabulary: provides the engagements of each id in the pretraining window.
      scale: factor of a row with unlimited engagements.
      evidence: number of engagements at which the factor is halfway between 1 and ``scale``.

    Returns:
      float32 [num_rows].
    """
    scales = scale + (1 - scale) * (1 - evidence_weights(vocabulary, evidence))
    scales[:vocabulary.oov_rows] = scale
    return scales.astype(np.float32)
