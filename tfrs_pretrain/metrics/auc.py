"""Area under the ROC curve: exact, ties counted one half; over all rows, within groups, and under weights."""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.metrics.blocks import ScoreBlocks


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Probability that a random positive scores above a random negative; None with one label only.

    Args:
      labels: [n] of 0 and 1.
      scores: [n], any increasing function of the probability.
    """
    value = ScoreBlocks.of(labels, scores, np.zeros(len(labels), np.int64)).auc()
    return float(value[0]) if len(value) and not np.isnan(value[0]) else None


def gauc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float | None:
    """AUC within each user, averaged with the user's impressions as weights over users that have both labels.

    Zhou et al., "Deep Interest Network for Click-Through Rate Prediction" (KDD 2018), equation 7, there with the
    number of impressions or clicks as weight; here impressions.

    Args:
      labels: [n] of 0 and 1.
      scores: [n].
      groups: [n] integers that name the user.
    """
    blocks = ScoreBlocks.of(labels, scores, groups)
    both = blocks.both_labels
    return float(np.average(blocks.auc()[both], weights=blocks.group_sizes[both])) if both.any() else None


class WeightedAuc:
    """AUC of rows that count as often as their user does, prepared once for many sets of weights.

    Args:
      labels: [n] of 0 and 1.
      scores: [n].
      users: [n] places in the weights.
      order: [n] rows by rising score.
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray, users: np.ndarray, order: np.ndarray):
        positive = labels[order] > 0
        above, below = scores[order[positive]], scores[order[~positive]]
        users = users.astype(np.int32, copy=False)
        self._positives, self._negatives = users[order[positive]], users[order[~positive]]
        # Of each positive: how many negatives score lower, and how many not higher.
        self._beaten = np.searchsorted(below, above, side="left")
        self._reached = np.searchsorted(below, above, side="right")

    def at(self, weights: np.ndarray) -> float:
        """The AUC under weights int64 [users], exact; NaN where one label has no weight."""
        # Integers: their running sum is several times faster than that of floats.
        mass = np.zeros(len(self._negatives) + 1, np.int64)
        np.cumsum(weights.take(self._negatives), out=mass[1:])
        positive = weights.take(self._positives)
        pairs = int(positive.sum()) * int(mass[-1])
        if not pairs:
            return float("nan")
        doubled = np.einsum("p,p", positive, mass.take(self._beaten) + mass.take(self._reached))
        return float(doubled / (2 * pairs))
