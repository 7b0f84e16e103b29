"""Log loss and normalized entropy; None where undefined."""

from __future__ import annotations

import numpy as np

# Probabilities are clipped to [CLIP, 1 - CLIP] before the logarithm, so a loss is at most -log(1e-7) = 16.1 nats.
CLIP = 1e-7


def log_loss(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float | None:
    """Return the mean negative log-likelihood, in nats; None without impressions, or if all weights are 0.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities, clipped to [1e-7, 1 - 1e-7].
      weights: float64 [n] of the impressions; None counts each once.
    """
    if weights is not None:
        total = float(weights.sum())
        return float((weights * negative_log_likelihoods(labels, scores)).sum()) / total if total else None
    return float(np.mean(negative_log_likelihoods(labels, scores))) if len(labels) else None


def negative_log_likelihoods(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return float64 [n], the negative log-likelihood of each impression in nats; arguments as for ``log_loss``."""
    likelihoods = scores.astype(np.float64)  # changed in place: it has the size of the impressions
    np.clip(likelihoods, CLIP, 1 - CLIP, out=likelihoods)
    np.subtract(1, likelihoods, out=likelihoods, where=~(labels > 0))
    np.log(likelihoods, out=likelihoods)
    np.negative(likelihoods, out=likelihoods)
    return likelihoods


def normalized_entropy(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Return log loss / log loss of always predicting the mean label; below 1 is better than that constant.

    He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook" (ADKDD 2014), equation 3.
    """
    rate, loss = float(np.mean(labels)) if len(labels) else 0.0, log_loss(labels, scores)
    return loss / entropy(rate) if loss is not None and 0 < rate < 1 else None


def entropy(rate: float) -> float:
    """Return the entropy in nats of a label that is 1 with probability ``rate``, strictly between 0 and 1."""
    return -float(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
