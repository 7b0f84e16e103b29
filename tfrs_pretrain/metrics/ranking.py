"""All ranking metrics of scored impressions, exact, for any integer weights of the users.

Weights of 1 give the metrics themselves; weights that count randomly drawn users give a bootstrap replicate. Nothing is
sampled or approximated, so memory grows with the impressions: about 120 bytes an impression during the sort, 25 while
the prepared metrics are retained (measured with 10M impressions of 500k users), in addition to the input columns.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrs_pretrain.metrics.auc import WeightedAuc
from tfrs_pretrain.metrics.calibration import bin_starts
from tfrs_pretrain.metrics.log_loss import entropy, negative_log_likelihoods
from tfrs_pretrain.metrics.recall_ndcg import CUTOFFS, recall_and_ndcg
from tfrs_pretrain.metrics.score_blocks import ScoreBlocks

METRICS = ("auc", "gauc", "log_loss", "normalized_entropy", "calibration", "calibration_error",
           *(f"{name}@{k}" for k in CUTOFFS for name in ("recall", "ndcg")))
LOWER_IS_BETTER = frozenset({"log_loss", "normalized_entropy", "calibration_error"})


class UserMetrics:
    """Metrics of one model on one set of impressions, prepared once for many sets of user weights.

    The bins of the calibration error are those of the unweighted impressions. Weights of impressions multiply those of
    their users; recall and NDCG count every impression of a request once.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      users: int [n] user numbers from 0, which index the weights.
      requests: int [n] request numbers, each request of one user; None leaves the metrics within requests undefined.
      weights: float [n] of the impressions, finite and at least 0; None counts each once.
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray, users: np.ndarray, requests: np.ndarray | None = None,
                 weights: np.ndarray | None = None):
        order = np.argsort(scores)
        weights = None if weights is None else weights.astype(np.float64)
        self._auc = WeightedAuc(labels, scores, users, order, weights)
        by_user = ScoreBlocks.from_rows(labels, scores, users, order, weights)
        # The users that occur, renumbered without gaps. Every metric but AUC is a ratio of sums over them.
        self._users = users[by_user.representative]
        renumbered = np.zeros(int(self._users.max(initial=-1)) + 1, np.int32)
        renumbered[self._users] = np.arange(len(self._users))
        user_index = renumbered[users]
        sums = _impression_sums(labels, scores, user_index, by_user, weights)
        del by_user  # as large as the impressions, like the blocks of requests
        sums += [np.zeros(len(self._users))] * (1 + 2 * len(CUTOFFS)) if requests is None else _request_sums(
            ScoreBlocks.from_rows(labels, scores, requests, order), user_index, len(self._users))
        self._n_sums = len(sums)
        gaps = _BinGaps(labels, scores, user_index, order, weights)
        # The gaps of the calibration bins are precomputed per user too, unless that needs more memory than impressions.
        self._gaps = gaps if gaps.bins * len(self._users) > len(order) else None
        self._sums = np.stack([*sums, *(() if self._gaps else gaps.by_user(len(self._users)))]).astype(np.float64)

    def compute(self, weights: np.ndarray) -> np.ndarray:
        """Return float64 [metrics] in the order of METRICS under int64 [users] weights; NaN where undefined."""
        counts = weights.take(self._users)
        # Not a BLAS product: its threads wait for each other longer than the work takes.
        sums = np.einsum("u,su->s", counts, self._sums)
        gaps = self._gaps.compute(counts) if self._gaps else sums[self._n_sums:]
        impressions, positives, loss, score, gauc, gauc_impressions, requests = sums[:7]
        rate = positives / impressions if impressions else 0.0
        baseline = entropy(rate) if 0 < rate < 1 else 0.0
        return np.array([
            self._auc.compute(weights), _ratio(gauc, gauc_impressions), _ratio(loss, impressions),
            _ratio(loss, impressions * baseline), _ratio(score, positives), _ratio(np.abs(gaps).sum(), impressions),
            *(_ratio(value, requests) for value in sums[7:self._n_sums])])


def ranking_metrics(labels: np.ndarray, scores: np.ndarray, users: np.ndarray, requests: np.ndarray | None = None,
                    weights: np.ndarray | None = None) -> dict[str, float | int | None]:
    """Compute all metrics of one set of impressions.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      users: int [n] user numbers.
      requests: int [n] request numbers; None if unknown.
      weights: float [n] of the impressions; None counts each once.

    Returns:
      number of ``impressions`` and ``positives``, then each of METRICS, None where undefined.
    """
    codes, names = pd.factorize(users)
    values = UserMetrics(labels, scores, codes, requests, weights).compute(np.ones(len(names), np.int64))
    return {"impressions": len(labels), "positives": int(np.count_nonzero(labels)), **by_name(values)}


def by_name(values: np.ndarray) -> dict[str, float | None]:
    """Map each of METRICS to its value in float64 [metrics], None in place of NaN."""
    return {name: None if np.isnan(value) else float(value) for name, value in zip(METRICS, values, strict=True)}


def _impression_sums(labels: np.ndarray, scores: np.ndarray, user_index: np.ndarray, by_user: ScoreBlocks,
                     weights: np.ndarray | None) -> list[np.ndarray]:
    """Per user: impressions, positives, losses, scores, AUC times impressions, impressions where the AUC is defined."""
    sizes, losses = by_user.group_sizes, negative_log_likelihoods(labels, scores)
    if weights is not None:
        losses, scores = losses * weights, scores * weights
    return [sizes, by_user.group_positives, np.bincount(user_index, losses, len(sizes)),
            np.bincount(user_index, scores, len(sizes)), np.nan_to_num(by_user.auc()) * sizes,
            by_user.has_both_labels * sizes]


def _request_sums(blocks: ScoreBlocks, user_index: np.ndarray, n_users: int) -> list[np.ndarray]:
    """Per user: requests with both labels, then recall and NDCG summed over them for each cutoff."""
    request_user = user_index[blocks.representative]
    values = [blocks.has_both_labels, *(value for k in CUTOFFS for value in recall_and_ndcg(blocks, k))]
    return [np.bincount(request_user, np.nan_to_num(value), n_users) for value in values]


class _BinGaps:
    """Score minus label of each impression, times its weight, sorted into bins of equal mass, with the user of each."""

    def __init__(self, labels: np.ndarray, scores: np.ndarray, user_index: np.ndarray, order: np.ndarray,
                 weights: np.ndarray | None):
        ascending = scores[order]
        self._starts = bin_starts(ascending) if len(order) else np.zeros(0, np.int64)
        self._gaps, self._users = ascending.astype(np.float64) - labels[order], user_index[order]
        self._gaps = self._gaps if weights is None else self._gaps * weights[order]
        self.bins = len(self._starts)

    def by_user(self, n_users: int) -> np.ndarray:
        """Return float64 [bins, users] sums."""
        bins = np.repeat(np.arange(self.bins), np.diff(np.append(self._starts, len(self._gaps))))
        return np.bincount(bins * n_users + self._users, self._gaps, self.bins * n_users).reshape(self.bins, n_users)

    def compute(self, counts: np.ndarray) -> np.ndarray:
        """Return float64 [bins] sums with users weighted by int64 [users] counts."""
        return np.add.reduceat(counts.take(self._users) * self._gaps, self._starts)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
