"""Standard errors over users without resampling, by the influence of each impression on a metric.

A metric of many impressions is nearly a sum of contributions, one for each impression. The contributions of one user
are added, because they are not independent, and their spread over users is the standard error: DeLong, DeLong and
Clarke-Pearson, Biometrics 44, 1988, for AUC, and Obuchowski, Biometrics 53, 1997, for clusters. This costs one sort per
model, where the bootstrap of ``bootstrap`` costs one for each replicate; both agree unless users are few.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfrs_pretrain.metrics.log_loss import negative_log_likelihoods

AUC, LOG_LOSS = CLUSTERED_METRICS = ("auc", "log_loss")


@dataclasses.dataclass(frozen=True)
class Influence:
    """A metric and what each impression contributes to it.

    Attributes:
      value: the metric; NaN where undefined.
      contributions: float64 [n], with sum 0; an impression that moves the metric up by its presence has a positive one.
    """

    value: float
    contributions: np.ndarray


def influence(metric: str, labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> Influence:
    """Compute a metric and the contributions of the impressions.

    Args:
      metric: one of CLUSTERED_METRICS.
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      weights: float [n] of the impressions; None counts each once.
    """
    weights = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    return (_auc if metric == AUC else _log_loss)(labels > 0, scores, weights)


def clustered_error(contributions: np.ndarray, users: np.ndarray) -> float | None:
    """Return the standard error of a metric, or of a difference or mean of metrics with these contributions.

    Args:
      contributions: float64 [n].
      users: int [n] user numbers.

    Returns:
      None for fewer than two users.
    """
    numbers, index = np.unique(users, return_inverse=True)
    if len(numbers) < 2:
        return None
    sums = np.bincount(index, contributions)
    return math.sqrt(len(numbers) / (len(numbers) - 1) * float(np.square(sums).sum()))


def mean_difference(ours: Sequence[Influence], theirs: Sequence[Influence]) -> Influence:
    """Return the mean difference of pairs of models on the same impressions."""
    pairs = list(zip(ours, theirs, strict=True))
    return Influence(float(np.mean([one.value - other.value for one, other in pairs])),
                     np.mean([one.contributions - other.contributions for one, other in pairs], axis=0))


def _log_loss(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> Influence:
    losses, total = negative_log_likelihoods(positive, scores), float(weights.sum())
    if not total:
        return Influence(math.nan, np.zeros(len(scores)))
    value = float(weights @ losses) / total
    return Influence(value, weights * (losses - value) / total)


def _auc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> Influence:
    """The share of the negatives below each positive, and of the positives above each negative; ties count one half."""
    parts = positive, ~positive
    totals = [float(weights[part].sum()) for part in parts]
    if not all(totals):
        return Influence(math.nan, np.zeros(len(scores)))
    below = _share_below(scores[positive], scores[~positive], weights[~positive])
    above = 1 - _share_below(scores[~positive], scores[positive], weights[positive])
    value = float(weights[positive] @ below) / totals[0]
    contributions = np.zeros(len(scores))
    for part, share, total in zip(parts, (below, above), totals, strict=True):
        contributions[part] = weights[part] * (share - value) / total
    return Influence(value, contributions)


def _share_below(scores: np.ndarray, others: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return float64 [n], the weighted share of ``others`` below each score."""
    order = np.argsort(others)
    mass = np.concatenate([[0.0], np.cumsum(weights[order])])
    lower, upper = (mass[np.searchsorted(others, scores, side, sorter=order)] for side in ("left", "right"))
    share: np.ndarray = (lower + upper) / 2 / mass[-1]
    return share
