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
        sums = [by_user.group_sizes, by_user.group_positives,
                np.bincount(places, row_losses(labels, scores), len(self._users)),
                np.bincount(places, scores, len(self._users)),
                np.nan_to_num(by_user.auc()) * by_user.group_sizes, by_user.both_labels * by_user.group_sizes]
        sums += [np.zeros(len(self._users))] * (1 + 2 * len(CUTOFFS)) if requests is None else _request_sums(
            ScoreBlocks.of(labels, scores, requests, order), places, len(self._users))
        self._sums = np.stack(sums).astype(np.float64)
        self._gaps, self._gap_users, self._gap_starts = _gaps(labels, scores, places, order, self._users)

    def at(self, weights: np.ndarray) -> np.ndarray:
        """float64 [metrics] in the order of METRICS under weights int64 [users]; NaN where undefined."""
        # Not a BLAS product: its threads wait for each other longer than the work takes.
        sums = np.einsum("u,su->s", weights.take(self._users), self._sums)
        rows, positives, loss, score, gauc, gauc_rows, requests = sums[:7]
        rate = positives / rows if rows else 0.0
        bound = entropy(rate) if 0 < rate < 1 else 0.0
        return np.array([
            self._auc.at(weights), _ratio(gauc, gauc_rows), _ratio(loss, rows), _ratio(loss, rows * bound),
            _ratio(score, positives), self._calibration_error(weights, rows),
            *(_ratio(value, requests) for value in sums[7:])])

    def _calibration_error(self, weights: np.ndarray, rows: float) -> float:
        if not rows:
            return float("nan")
        gaps = np.add.reduceat(weights.take(self._gap_users) * self._gaps, self._gap_starts)
        return float(np.abs(gaps).sum() / rows)


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


def _request_sums(blocks: ScoreBlocks, places: np.ndarray, users: int) -> list[np.ndarray]:
    """Per user: requests with both labels, and for each cut-off the sums of their recall and NDCG."""
    of_request = places[blocks.row]
    values = [blocks.both_labels, *(value for k in CUTOFFS for value in recall_and_ndcg(blocks, k))]
    return [np.bincount(of_request, np.nan_to_num(value), users) for value in values]


def _gaps(labels: np.ndarray, scores: np.ndarray, places: np.ndarray, order: np.ndarray, users: np.ndarray
          ) -> tuple[np.ndarray, ...]:
    """Score minus label, bin after bin: their values, their users, and the first of each bin.

    Summed for each user and bin where that is less than one for each row.
    """
    if not len(order):
        return np.zeros(0), users[:0], users[:0]
    ascending, places = scores[order], places[order]
    starts = bin_starts(ascending)
    gaps = ascending.astype(np.float64) - labels[order]
    if len(starts) * len(users) > len(order):
        return gaps, users[places], starts
    bins = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(order))))
    summed = np.bincount(bins * len(users) + places, gaps, len(starts) * len(users))
    return summed, np.tile(users, len(starts)), np.arange(len(starts)) * len(users)


def _ratio(value: float, by: float) -> float:
    return value / by if by else float("nan")
