"""Verdict on the one-epoch phenomenon, with its confidence, from held-out losses around the end of the first epoch.

The one-epoch phenomenon (Zhang et al., "Towards Understanding the Overfitting Phenomenon of Deep Click-Through Rate
Prediction Models", CIKM 2022, arXiv 2209.06053) is a sharp drop in quality at the beginning of the second pass over the
data. Ordinary over-training sets in gradually. The thresholds are this project's choice: a rise counts from
``MATERIAL`` of the loss on; it is sharp if the first evaluations of the second epoch already show at least
``AT_BORDER`` of the rise that its last evaluations show.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrs_pretrain.evaluation.bootstrap import Resampling

SHARP, STEADY, NONE = "sharp drop at the epoch border", "steady over-training", "none"
MATERIAL, AT_BORDER = 0.005, 0.5
# Share of an epoch's evaluations that is averaged on each side: single ones depend too much on the last batches.
WINDOW = 0.25


@dataclasses.dataclass(frozen=True)
class BorderRise:
    """Held-out log loss around the first epoch border: of all impressions, then of each bootstrap replicate.

    Attributes:
      before: float64 [1 + replicates] nats, last evaluations of epoch 1.
      border: likewise, rise from ``before`` to the first evaluations of epoch 2.
      end: likewise, rise from ``before`` to the last evaluations of epoch 2.
      last: likewise, rise from ``before`` to the last evaluations of the run.
    """

    before: np.ndarray
    border: np.ndarray
    end: np.ndarray
    last: np.ndarray


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Verdict on one run.

    Attributes:
      verdict: SHARP, STEADY or NONE.
      confidence: share of bootstrap replicates with the same verdict.
      before: log loss in nats, last evaluations of epoch 1.
      border: rise from there to the first evaluations of epoch 2.
      border_low: low end of its interval.
      border_high: high end of its interval.
      end: rise to the last evaluations of epoch 2.
    """

    verdict: str
    confidence: float
    before: float
    border: float
    border_low: float
    border_high: float
    end: float


def bootstrap_rise(losses: np.ndarray, users: np.ndarray, per_epoch: int, resampling: Resampling) -> BorderRise:
    """Compute the rise on all impressions and on bootstrap replicates of the users.

    The draws do not depend on the losses, so runs on the same impressions are paired.

    Args:
      losses: float64 [evaluations, n] in nats, at least two epochs; the mean over seeds if there are several.
      users: int [n] user numbers from 0.
      per_epoch: evaluations per epoch.
      resampling: how to draw users.

    Raises:
      ValueError: the evaluations do not reach the end of epoch 2.
    """
    if len(losses) < 2 * per_epoch:
        raise ValueError(f"{len(losses)} evaluations, {per_epoch} per epoch, do not reach the end of epoch 2")
    window = max(1, round(WINDOW * per_epoch))
    windows = (slice(per_epoch - window, per_epoch), slice(per_epoch, per_epoch + window),
               slice(2 * per_epoch - window, 2 * per_epoch), slice(len(losses) - window, len(losses)))
    means = np.stack([losses[part].mean(axis=0) for part in windows])  # [4, n]
    n_users = int(users.max()) + 1
    sums = np.stack([np.bincount(users, weights=row, minlength=n_users) for row in means])  # [4, users]
    sizes = np.bincount(users, minlength=n_users)
    weights = [np.ones(n_users), *resampling.draws(n_users)]
    before, after, end, last = np.stack([sums @ drawn / (sizes @ drawn) for drawn in weights], axis=1)
    return BorderRise(before, after - before, end - before, last - before)


def classify(rise: BorderRise, resampling: Resampling) -> Verdict:
    """Classify one run.

    Args:
      rise: of the run.
      resampling: that produced its replicates.
    """
    verdicts = [_verdict(*values) for values in zip(rise.before, rise.border, rise.end, rise.last, strict=True)]
    low, high = resampling.interval(rise.border[1:]) or (float("nan"), float("nan"))
    agreement = float(np.mean([verdict == verdicts[0] for verdict in verdicts[1:]]))
    return Verdict(verdicts[0], agreement, float(rise.before[0]), float(rise.border[0]), low, high, float(rise.end[0]))


def remaining_share(control: BorderRise, base: BorderRise) -> tuple[float, float]:
    """Return a control's share of the base's border rise, and the share of replicates with less than half of it."""
    share = control.border / base.border
    return float(share[0]), float(np.mean(control.border[1:] < AT_BORDER * base.border[1:]))


def _verdict(before: float, border: float, end: float, last: float) -> str:
    material = MATERIAL * before
    if border > material and border >= AT_BORDER * end:
        return SHARP
    return STEADY if max(border, end, last) > material else NONE
