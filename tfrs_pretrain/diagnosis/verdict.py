"""From losses across the border of the first epoch to a verdict with its confidence.

The one-epoch phenomenon (Zhang et al., "Towards Understanding the Overfitting Phenomenon of Deep Click-Through Rate
Prediction Models", CIKM 2022, arXiv 2209.06053) is a sharp drop in quality right where the second pass over the data
begins; over-training, as other networks have it, sets in gradually. What counts as either is this project's choice:
a rise of ``MATERIAL`` of the loss; sharp, where the first looks of the second epoch already hold at least ``AT_BORDER``
of the rise that its last looks show.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrs_pretrain.evaluation.bootstrap import Resampling

SHARP, STEADY, NONE = "sharp drop at the epoch border", "steady over-training", "none"
MATERIAL, AT_BORDER = 0.005, 0.5
# Share of the epoch's looks that are averaged on each side: single ones move with the last batches.
WINDOW = 0.25


@dataclasses.dataclass(frozen=True)
class Rises:
    """Held-out log loss around the first border: of all impressions, and of each bootstrap replicate.

    Attributes:
      before: [1 + replicates], last looks of epoch 1.
      border: likewise, rise from there to the first looks of epoch 2.
      end: likewise, rise from there to the last looks of epoch 2.
      last: likewise, rise from there to the last looks of all.
    """

    before: np.ndarray
    border: np.ndarray
    end: np.ndarray
    last: np.ndarray


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the losses say.

    Attributes:
      verdict: SHARP, STEADY or NONE.
      confidence: share of bootstrap replicates that say the same.
      before: log loss in the last looks of epoch 1.
      border, border_low, border_high: rise to the first looks of epoch 2, with its interval.
      end: rise to the last looks of epoch 2.
    """

    verdict: str
    confidence: float
    before: float
    border: float
    border_low: float
    border_high: float
    end: float


def rises(losses: np.ndarray, users: np.ndarray, per_epoch: int, resampling: Resampling) -> Rises:
    """Bootstraps by user; the same users are drawn whatever the losses, so runs on one probe are paired.

    Args:
      losses: float64 [points, n] in nats, two epochs or more; the mean over seeds where there are several.
      users: int [n] from 0.
      per_epoch: points in an epoch.
      resampling: how to draw.

    Raises:
      ValueError: the points do not reach the end of epoch 2.
    """
    if len(losses) < 2 * per_epoch:
        raise ValueError(f"{len(losses)} points with {per_epoch} an epoch do not reach the end of epoch 2")
    window = max(1, round(WINDOW * per_epoch))
    looks = (slice(per_epoch - window, per_epoch), slice(per_epoch, per_epoch + window),
             slice(2 * per_epoch - window, 2 * per_epoch), slice(len(losses) - window, len(losses)))
    means = np.stack([losses[part].mean(axis=0) for part in looks])  # [4, n]
    count = int(users.max()) + 1
    sums = np.stack([np.bincount(users, weights=row, minlength=count) for row in means])  # [4, users]
    sizes = np.bincount(users, minlength=count)
    generator = np.random.default_rng(resampling.seed)
    drawn = [np.ones(count), *(np.bincount(generator.integers(0, count, count), minlength=count)
                               for _ in range(resampling.replicates))]
    before, after, end, last = np.stack([sums @ weights / (sizes @ weights) for weights in drawn], axis=1)
    return Rises(before, after - before, end - before, last - before)


def judge(found: Rises, resampling: Resampling) -> Verdict:
    """The verdict on one run."""
    verdicts = [_verdict(*values) for values in zip(found.before, found.border, found.end, found.last, strict=True)]
    low, high = resampling.interval(found.border[1:]) or (float("nan"), float("nan"))
    agree = float(np.mean([verdict == verdicts[0] for verdict in verdicts[1:]]))
    return Verdict(verdicts[0], agree, float(found.before[0]), float(found.border[0]), low, high, float(found.end[0]))


def share_kept(control: Rises, base: Rises) -> tuple[float, float]:
    """What a control leaves of the rise at the border: its share, and the share of replicates that leave under half."""
    kept = control.border / base.border
    return float(kept[0]), float(np.mean(control.border[1:] < AT_BORDER * base.border[1:]))


def _verdict(before: float, border: float, end: float, last: float) -> str:
    material = MATERIAL * before
    if border > material and border >= AT_BORDER * end:
        return SHARP
    return STEADY if max(border, end, last) > material else NONE
