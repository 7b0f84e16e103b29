"""Exact area under the ROC curve with ties counted one half: overall, grouped by user, and for weighted users."""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.metrics.score_blocks import ScoreBlocks


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float | None:
    """Return the probability that a random positive scores above a random negative; None if all labels are equal.

    Args:
      labels: [n] of 0 and 1.
      scores: [n], any increasing function of the probability.
      weights: float64 [n] of the impressions; None counts each once.
    """
    value = ScoreBlocks.from_rows(labels, scores, np.zeros(len(labels), np.int64), weights=weights).auc()
    return float(value[0]) if len(value) and not np.isnan(value[0]) else None


def gauc(labels: np.ndarray, scores: np.ndarray, users: np.ndarray) -> float | None:
    """Return the mean of the users' AUCs weighted by impressions; users whose labels are all equal are left out.

    Zhou et al., "Deep Interest Network for Click-Through Rate Prediction" (KDD 2018), equation 7, which weights by
    impressions or clicks; here by impressions.

    Args:
      labels: [n] of 0 and 1.
      scores: [n].
      users: [n] integer user numbers.
    """
    blocks = ScoreBlocks.from_rows(labels, scores, users)
    defined = blocks.has_both_labels
    if not defined.any():
        return None
    return float(np.average(blocks.auc()[defined], weights=blocks.group_sizes[defined]))


class WeightedAuc:
    """AUC of impressions weighted by their user, prepared once for many sets of user weights.

    An impression may have a weight of its own, by which that of its user is multiplied.

    Args:
      labels: [n] of 0 and 1.
      scores: [n].
      users: int [n] user numbers, which index the weights.
      order: int [n] positions sorted by ascending score.
      weights: float64 [n] of the impressions; None counts each once.
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray, users: np.ndarray, order: np.ndarray,
                 weights: np.ndarray | None = None):
        is_positive = labels[order] > 0
        positive_scores, negative_scores = scores[order[is_positive]], scores[order[~is_positive]]
        users = users.astype(np.int32, copy=False)
        self._positives, self._negatives = users[order[is_positive]], users[order[~is_positive]]
        self._own_weights = None if weights is None else (weights[order[is_positive]], weights[order[~is_positive]])
        # For each positive, the number of negatives with a lower score, and with a lower or equal score.
        self._n_lower = np.searchsorted(negative_scores, positive_scores, side="left")
        self._n_lower_or_equal = np.searchsorted(negative_scores, positive_scores, side="right")

    def compute(self, weights: np.ndarray) -> float:
        """Return the exact AUC under int64 [users] weights; NaN if positives or negatives have no weight."""
        if self._own_weights is not None:
            return self._weighted(weights, *self._own_weights)
        # Integers: their running sum is several times faster than that of floats.
        mass = np.zeros(len(self._negatives) + 1, np.int64)
        np.cumsum(weights.take(self._negatives), out=mass[1:])
        positive_weights = weights.take(self._positives)
        pairs = int(positive_weights.sum()) * int(mass[-1])
        if not pairs:
            return float("nan")
        doubled = np.einsum("p,p", positive_weights, mass.take(self._n_lower) + mass.take(self._n_lower_or_equal))
        return float(doubled / (2 * pairs))

    def _weighted(self, weights: np.ndarray, of_positives: np.ndarray, of_negatives: np.ndarray) -> float:
        positives = weights.take(self._positives) * of_positives
        mass = np.concatenate([[0.0], np.cumsum(weights.take(self._negatives) * of_negatives)])
        pairs = positives.sum() * mass[-1]
        won = np.einsum("p,p", positives, mass.take(self._n_lower) + mass.take(self._n_lower_or_equal)) / 2
        return float(won / pairs) if pairs > 0 else float("nan")
