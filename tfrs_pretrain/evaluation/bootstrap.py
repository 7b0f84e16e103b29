"""How far a metric could be off: bootstrap by user.

Impressions of one user are not independent, so whole users are drawn, with replacement, as many as there are (the
cluster bootstrap: Field and Welsh, "Bootstrapping clustered data", JRSS B 69, 2007). A user drawn twice counts twice;
nothing is copied. Every model and every slice sees the same drawn users, so differences are paired. The interval is
the percentile interval (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13): it needs no
formula for the variance and cannot leave a metric's range. It holds the variation from one sample of users to another,
not that from one training seed to another. It lies too high for the calibration error, which noise can only raise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tfrs_pretrain.metrics.ranking import METRICS, UserMetrics

# Share of replicates that must define a metric: fewer mean that a handful of users decide whether it is defined.
DEFINED = 0.95


@dataclasses.dataclass(frozen=True)
class Resampling:
    """How to draw.

    Attributes:
      replicates: draws of all users.
      confidence: share of samples whose interval should hold the truth.
      seed: of the draws.
    """

    replicates: int = 1000
    confidence: float = 0.95
    seed: int = 17

    def __post_init__(self) -> None:
        if self.replicates < 1 or not 0 < self.confidence < 1:
            raise ValueError(f"replicates must be at least 1 and confidence between 0 and 1, not {self}")

    def interval(self, replicates: np.ndarray) -> tuple[float, float] | None:
        """The percentile interval of one metric's replicates; None where too few of them define it."""
        defined = replicates[np.isfinite(replicates)]
        if len(defined) < DEFINED * len(replicates) or len(defined) < 2:
            return None
        outside = (1 - self.confidence) / 2
        low, high = np.quantile(defined, [outside, 1 - outside], method="weibull")
        return float(low), float(high)


def p_value(differences: np.ndarray) -> float | None:
    """Two-sided achieved significance level of "no difference": twice the share of replicates on the rarer side of 0.

    One is added to both counts, so that no finite number of replicates gives 0 (Davison and Hinkley, "Bootstrap
    Methods and their Application", 1997, section 4.2). None where too few replicates define the metric.
    """
    defined = differences[np.isfinite(differences)]
    if len(defined) < DEFINED * len(differences) or len(defined) < 2:
        return None
    rarer = min(int(np.count_nonzero(defined <= 0)), int(np.count_nonzero(defined >= 0)))
    return min(1.0, 2 * (rarer + 1) / (len(defined) + 1))


def resample(judged: Sequence[UserMetrics], users: int, resampling: Resampling,
             advance: Callable[[], None] = lambda: None) -> tuple[np.ndarray, np.ndarray]:
    """The metrics of each, and of each replicate, in the order of METRICS; NaN where undefined.

    Args:
      judged: models and slices whose weights are of the same users.
      users: how many there are.
      resampling: how to draw.
      advance: called after each replicate.

    Returns:
      float64 [judged, metrics] and float64 [judged, replicates, metrics].
    """
    whole = np.stack([one.at(np.ones(users, np.int64)) for one in judged])
    replicates = np.empty((len(judged), resampling.replicates, len(METRICS)))
    generator = np.random.default_rng(resampling.seed)
    for number in range(resampling.replicates):
        drawn = np.bincount(generator.integers(0, users, users), minlength=users)
        for place, one in enumerate(judged):
            replicates[place, number] = one.at(drawn)
        advance()
    return whole, replicates
