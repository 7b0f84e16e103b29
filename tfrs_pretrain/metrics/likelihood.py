"""Log loss, plain and relative to what a constant would reach; None where undefined."""

from __future__ import annotations

import numpy as np

# Probabilities are clipped to [CLIP, 1 - CLIP] before the logarithm: one row costs at most -log(1e-7) = 16.1 nats.
CLIP = 1e-7


def log_loss(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean negative log-likelihood in nats of labels [n] under probabilities [n], clipped to [1e-7, 1 - 1e-7]."""
    return float(np.mean(row_losses(labels, scores))) if len(labels) else None


def row_losses(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """float64 [n] negative log-likelihood of each row, see ``log_loss``."""
    clipped = np.clip(scores.astype(np.float64), CLIP, 1 - CLIP)
    return -np.log(np.where(labels > 0, clipped, 1 - clipped))


def normalized_entropy(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Log loss over the log loss of always predicting the mean label; below 1 beats that constant.

    He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook" (ADKDD 2014), equation 3.
    """
    rate, loss = float(np.mean(labels)) if len(labels) else 0.0, log_loss(labels, scores)
    return loss / entropy(rate) if loss is not None and 0 < rate < 1 else None


def entropy(rate: float) -> float:
    """Log loss in nats of always predicting ``rate``, strictly between 0 and 1, where it is the mean label."""
    return -float(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
