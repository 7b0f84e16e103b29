"""All metrics of scored impressions, exact, as a function of how often each user counts.

With every user counted once these are the metrics; with users drawn at random, a bootstrap replicate of them. Nothing
is sampled or binned away, so memory grows with the rows: about 120 bytes a row while they are sorted, 25 while the
metrics are kept for further weights (measured with 10M rows of 500k users), beside the columns that are read.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrs_pretrain.metrics.auc import WeightedAuc
from tfrs_pretrain.metrics.blocks import ScoreBlocks
from tfrs_pretrain.metrics.calibration import bin_starts
from tfrs_pretrain.metrics.likelihood import entropy, row_losses
from tfrs_pretrain.metrics.requests import CUTOFFS, recall_and_ndcg

METRICS = ("auc", "gauc", "log_loss", "normalized_entropy", "calibration", "calibration_error",
           *(f"{name}@{k}" for k in CUTOFFS for name in ("recall", "ndcg")))
LOWER_IS_BETTER = frozenset({"log_loss", "normalized_entropy", "calibration_error"})


class UserMetrics:
    """The metrics of one model on one set of impressions, prepared once for many weights of the users.

    Bins of the calibration error are those of the whole set under any weights.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      users: [n] integers from 0, places in the weights.
      requests: [n] integers that name the request, each of one user; None: metrics within requests are undefined.
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray, users: np.ndarray, requests: np.ndarray | None = None):
        order = np.argsort(scores)
        self._auc = WeightedAuc(labels, scores, users, order)
        by_user = ScoreBlocks.of(labels, scores, users, order)
        # Users that occur, and for each the sums from which every other metric is a ratio: [sums, users].
        self._users = users[by_user.row]
        place = np.zeros(int(self._users.max(initial=-1)) + 1, np.int64)
        place[self._users] = np.arange(len(self._users))
        places = place[users]
        sums = _row_sums(labels, scores, places, by_user)
        sums += [np.zeros(len(self._users))] * (1 + 2 * len(CUTOFFS)) if requests is None else _request_sums(
            ScoreBlocks.of(labels, scores, requests, order), places, len(self._users))
        self._ratios = len(sums)
        gaps = _BinGaps(labels, scores, places, order)
        # Gaps of the calibration error are further sums, unless they would be more than the rows are.
        self._gaps = gaps if gaps.bins * len(self._users) > len(order) else None
        self._sums = np.stack([*sums, *(() if self._gaps else gaps.by_user(len(self._users)))]).astype(np.float64)

    def at(self, weights: np.ndarray) -> np.ndarray:
        """float64 [metrics] in the order of METRICS under weights int64 [users]; NaN where undefined."""
        # Not a BLAS product: its threads wait for each other longer than the work takes.
        counts = weights.take(self._users)
        sums = np.einsum("u,su->s", counts, self._sums)
        gaps = self._gaps.at(counts) if self._gaps else sums[self._ratios:]
        rows, positives, loss, score, gauc, gauc_rows, requests = sums[:7]
        rate = positives / rows if rows else 0.0
        bound = entropy(rate) if 0 < rate < 1 else 0.0
        return np.array([
            self._auc.at(weights), _ratio(gauc, gauc_rows), _ratio(loss, rows), _ratio(loss, rows * bound),
            _ratio(score, positives), _ratio(np.abs(gaps).sum(), rows),
            *(_ratio(value, requests) for value in sums[7:self._ratios])])


def ranking_metrics(labels: np.ndarray, scores: np.ndarray, users: np.ndarray, requests: np.ndarray | None = None
                    ) -> dict[str, float | int | None]:
    """All metrics of one set of impressions, with their number and the number of positives; None where undefined.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      users: [n] integers that name the user.
      requests: [n] integers that name the request; None where it is not known.
    """
    codes, names = pd.factorize(users)
    values = UserMetrics(labels, scores, codes, requests).at(np.ones(len(names), np.int64))
    return {"impressions": len(labels), "positives": int(np.count_nonzero(labels)), **named(values)}


def named(values: np.ndarray) -> dict[str, float | None]:
    """Values in the order of METRICS by name, None where they are undefined."""
    return {name: None if np.isnan(value) else float(value) for name, value in zip(METRICS, values, strict=True)}


def _row_sums(labels: np.ndarray, scores: np.ndarray, places: np.ndarray, by_user: ScoreBlocks) -> list[np.ndarray]:
    """Per user: rows, positives, losses, scores, AUC times rows, and rows where the AUC is defined."""
    rows = by_user.group_sizes
    return [rows, by_user.group_positives, np.bincount(places, row_losses(labels, scores), len(rows)),
            np.bincount(places, scores, len(rows)), np.nan_to_num(by_user.auc()) * rows, by_user.both_labels * rows]


def _request_sums(blocks: ScoreBlocks, places: np.ndarray, users: int) -> list[np.ndarray]:
    """Per user: requests with both labels, and for each cut-off the sums of their recall and NDCG."""
    of_request = places[blocks.row]
    values = [blocks.both_labels, *(value for k in CUTOFFS for value in recall_and_ndcg(blocks, k))]
    return [np.bincount(of_request, np.nan_to_num(value), users) for value in values]


class _BinGaps:
    """Score minus label of each row, bin after bin of equal mass, and the place of its user."""

    def __init__(self, labels: np.ndarray, scores: np.ndarray, places: np.ndarray, order: np.ndarray):
        ascending = scores[order]
        self._starts = bin_starts(ascending) if len(order) else np.zeros(0, np.int64)
        self._gaps, self._places = ascending.astype(np.float64) - labels[order], places[order]
        self.bins = len(self._starts)

    def by_user(self, users: int) -> np.ndarray:
        """float64 [bins, users] sums."""
        bins = np.repeat(np.arange(self.bins), np.diff(np.append(self._starts, len(self._gaps))))
        return np.bincount(bins * users + self._places, self._gaps, self.bins * users).reshape(self.bins, users)

    def at(self, counts: np.ndarray) -> np.ndarray:
        """float64 [bins] sums where users count so often."""
        return np.add.reduceat(counts.take(self._places) * self._gaps, self._starts)


def _ratio(value: float, by: float) -> float:
    return value / by if by else float("nan")
