"""Whether probabilities are as large as they should be: on the whole, and from low to high."""

from __future__ import annotations

import numpy as np

# Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), take 15 bins of equal width.
BINS = 15


def calibration(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean prediction over mean label: 1 is calibrated, above 1 promises too much; None without positives."""
    positives = float(np.sum(labels, dtype=np.float64))
    return float(np.sum(scores, dtype=np.float64)) / positives if positives else None


def calibration_error(labels: np.ndarray, scores: np.ndarray, bins: int = BINS) -> float | None:
    """Expected calibration error over bins of equal mass: mean over rows of abs(mean score - mean label) of their bin.

    Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015), equation 2, there with
    bins of equal width; bins of equal mass are less biased where scores crowd near 0 (Roelofs et al., "Mitigating Bias
    in Calibration Error Estimation", AISTATS 2022). It is never below 0, so noise in the labels alone raises it.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      bins: how many, at most; see ``bin_starts``.
    """
    if not len(labels):
        return None
    order = np.argsort(scores)
    starts = bin_starts(scores[order], bins)
    gaps = np.add.reduceat(scores[order].astype(np.float64) - labels[order], starts)
    return float(np.abs(gaps).sum() / len(labels))


def reliability(labels: np.ndarray, scores: np.ndarray, bins: int = BINS) -> list[dict[str, float]]:
    """Per bin of equal mass, lowest scores first: mean ``score``, share of positives ``rate``, and ``count`` of rows.

    Drawn as rate over score this is the reliability diagram (DeGroot and Fienberg, "The Comparison and Evaluation of
    Forecasters", The Statistician 32, 1983): on the diagonal, probabilities are as large as they should be.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      bins: how many, at most; see ``bin_starts``.
    """
    if not len(labels):
        return []
    order = np.argsort(scores)
    starts = bin_starts(scores[order], bins)
    counts = np.diff(np.append(starts, len(order)))
    means = (np.add.reduceat(values[order].astype(np.float64), starts) / counts for values in (scores, labels))
    return [{"score": float(score), "rate": float(rate), "count": int(count)}
            for score, rate, count in zip(*means, counts, strict=True)]


def bin_starts(ascending: np.ndarray, bins: int = BINS) -> np.ndarray:
    """int64 [at most bins]: first row of each bin of equal mass; equal scores are never parted, so bins may be fewer.

    Args:
      ascending: [n] sorted scores, n above 0.
      bins: how many to cut.
    """
    cuts = np.arange(bins) * len(ascending) // bins
    return np.unique(np.searchsorted(ascending, ascending[cuts], side="left"))
