"""Calibration of predicted probabilities: overall ratio, expected calibration error, reliability diagram."""

from __future__ import annotations

import numpy as np

# Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), use 15 bins of equal width.
BINS = 15


def calibration(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Return mean prediction / mean label: 1 is calibrated, above 1 overestimates; None without positives."""
    positives = float(np.sum(labels, dtype=np.float64))
    return float(np.sum(scores, dtype=np.float64)) / positives if positives else None


def calibration_error(labels: np.ndarray, scores: np.ndarray, bins: int = BINS) -> float | None:
    """Return the expected calibration error: abs(mean score - mean label) of each bin, averaged over impressions.

    Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015), equation 2, which uses
    bins of equal width. Bins of equal mass, as here, are less biased where scores concentrate near 0 (Roelofs et al.,
    "Mitigating Bias in Calibration Error Estimation", AISTATS 2022). The error is never below 0, so noise in the labels
    alone increases it.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      bins: maximum number of bins, see ``bin_starts``.

    Returns:
      a probability difference in [0, 1]; None for n = 0.
    """
    if not len(labels):
        return None
    order = np.argsort(scores)
    starts = bin_starts(scores[order], bins)
    gaps = np.add.reduceat(scores[order].astype(np.float64) - labels[order], starts)
    return float(np.abs(gaps).sum() / len(labels))


def reliability(labels: np.ndarray, scores: np.ndarray, bins: int = BINS, weights: np.ndarray | None = None
                ) -> list[dict[str, float]]:
    """Return the points of a reliability diagram, lowest scores first.

    ``rate`` plotted over ``score`` lies on the diagonal for calibrated probabilities (DeGroot and Fienberg, "The
    Comparison and Evaluation of Forecasters", The Statistician 32, 1983).

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      bins: maximum number of bins, see ``bin_starts``.
      weights: float64 [n] of the impressions in the means of a bin; None counts each once. A bin of weight 0 is left
        out.

    Returns:
      for each bin its mean ``score``, its share of positives ``rate``, and ``count``, its number of impressions.
    """
    if not len(labels):
        return []
    order = np.argsort(scores)
    starts = bin_starts(scores[order], bins)
    counts = np.diff(np.append(starts, len(order)))
    own = np.ones(len(order)) if weights is None else weights[order]
    mass = np.add.reduceat(own, starts)
    sums = (np.add.reduceat(values[order].astype(np.float64) * own, starts) for values in (scores, labels))
    return [{"score": float(score / weight), "rate": float(rate / weight), "count": int(count)}
            for score, rate, weight, count in zip(*sums, mass, counts, strict=True) if weight]


def bin_starts(ascending: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return int64 [number of bins]: position of the first score of each bin of equal mass.

    Equal scores always share a bin, so there may be fewer bins than requested.

    Args:
      ascending: [n] sorted scores, n above 0.
      bins: maximum number of bins.
    """
    cuts = np.arange(bins) * len(ascending) // bins
    return np.unique(np.searchsorted(ascending, ascending[cuts], side="left"))
