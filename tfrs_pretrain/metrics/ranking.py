"""Exact metrics of predicted probabilities, vectorised over rows; none is binned or approximated.

A metric whose value is undefined for its rows (no rows, or one label only) is None.
"""

from __future__ import annotations

import numpy as np

# Probabilities are clipped to [CLIP, 1 - CLIP] before the logarithm: one row costs at most -log(1e-7) = 16.1 nats.
CLIP = 1e-7


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Probability that a random positive scores above a random negative; a tie counts one half.

    Args:
      labels: [n] of 0 and 1.
      scores: [n], any increasing function of the probability.
    """
    wins, positives, negatives = _pair_wins(labels, scores, np.zeros(len(labels), np.int64))
    pairs = positives * negatives
    return float(wins[0] / pairs[0]) if len(pairs) and pairs[0] else None


def gauc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float | None:
    """AUC within each user, averaged with the user's impressions as weights over users that have both labels.

    Zhou et al., "Deep Interest Network for Click-Through Rate Prediction" (KDD 2018), equation 7, there with the
    number of impressions or clicks as weight; here impressions.

    Args:
      labels: [n] of 0 and 1.
      scores: [n].
      groups: [n] integers that name the user.
    """
    wins, positives, negatives = _pair_wins(labels, scores, groups)
    both = (positives > 0) & (negatives > 0)
    if not both.any():
        return None
    each = wins[both] / (positives[both] * negatives[both])
    return float(np.average(each, weights=(positives + negatives)[both]))


def log_loss(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean negative log-likelihood in nats of labels [n] under probabilities [n], clipped to [1e-7, 1 - 1e-7]."""
    if not len(labels):
        return None
    clipped = np.clip(scores.astype(np.float64), CLIP, 1 - CLIP)
    return float(-np.mean(np.log(np.where(labels > 0, clipped, 1 - clipped))))


def normalized_entropy(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Log loss over the log loss of always predicting the mean label; below 1 beats that constant.

    He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook" (ADKDD 2014), equation 3.
    """
    rate = float(np.mean(labels)) if len(labels) else 0.0
    loss = log_loss(labels, scores)
    if loss is None or not 0 < rate < 1:
        return None
    return loss / -float(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))


def calibration(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean prediction over mean label: 1 is calibrated, above 1 promises too much."""
    positives = float(np.sum(labels, dtype=np.float64))
    return float(np.sum(scores, dtype=np.float64)) / positives if positives else None


def ranking_metrics(labels: np.ndarray, scores: np.ndarray, users: np.ndarray) -> dict[str, float | int | None]:
    """All metrics of one set of impressions, with their number and the number of positives.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      users: [n] integers that name the user.
    """
    return {
        "impressions": len(labels),
        "positives": int(np.count_nonzero(labels)),
        "auc": auc(labels, scores),
        "gauc": gauc(labels, scores, users),
        "log_loss": log_loss(labels, scores),
        "normalized_entropy": normalized_entropy(labels, scores),
        "calibration": calibration(labels, scores),
    }


def _pair_wins(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, ...]:
    """Per group: (positive, negative) pairs in which the positive scores higher (ties one half), positives, negatives.

    Rows are sorted by (group, score); a block is a run of equal (group, score). Each positive wins against the
    negatives of its group before its block, and ties with the negatives in it.
    """
    order = np.argsort(scores)
    if len(groups) and groups.min() != groups.max():
        order = order[np.argsort(groups[order], kind="stable")]
    labels, scores, groups = labels[order] > 0, scores[order], groups[order]
    new_group = _changes(groups)
    new_block = new_group | _changes(scores)
    blocks, starts = np.flatnonzero(new_block), np.flatnonzero(new_group)
    positive, negative = _sums(labels, blocks), _sums(~labels, blocks)
    groups_of_blocks = np.cumsum(new_group)[blocks] - 1
    positives, negatives = _sums(labels, starts), _sums(~labels, starts)
    before = np.cumsum(negative) - negative - (np.cumsum(negatives) - negatives)[groups_of_blocks]
    doubled = positive * (2 * before + negative)  # integers: exact
    return _sums(doubled, np.searchsorted(blocks, starts)) / 2, positives, negatives


def _changes(values: np.ndarray) -> np.ndarray:
    """bool [n]: whether a value differs from the one before it; true for the first."""
    return np.concatenate([np.ones(min(1, len(values)), bool), values[1:] != values[:-1]])


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """int64 [len(starts)]: sum of values from each start to the next."""
    return np.add.reduceat(values.astype(np.int64), starts) if len(starts) else np.zeros(0, np.int64)
