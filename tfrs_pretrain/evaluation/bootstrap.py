"""Confidence intervals of ranking metrics by bootstrap over users.

Impressions of one user are not independent, so whole users are drawn with replacement, as many as there are (cluster
bootstrap: Field and Welsh, "Bootstrapping clustered data", JRSS B 69, 2007). A user drawn twice has weight 2; no rows
are copied. All models and slices are evaluated on the same drawn users, so differences are paired. The interval is the
percentile interval (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13): it needs no formula
for the variance and stays within a metric's range. It covers the variation between samples of users, not the variation
between training seeds. For the calibration error, which noise can only increase, it is biased upwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tfrs_pretrain.metrics.ranking import METRICS, UserMetrics

# Minimum share of replicates that must define a metric. Below it, a few users decide whether it is defined at all.
MIN_DEFINED = 0.95


@dataclasses.dataclass(frozen=True)
class Resampling:
    """Settings of the bootstrap.

    Attributes:
      replicates: number of times that all users are drawn.
      confidence: nominal coverage of the intervals, in (0, 1).
      seed: of the draws.
    """

    replicates: int = 1000
    confidence: float = 0.95
    seed: int = 17

    def __post_init__(self) -> None:
        if self.replicates < 1 or not 0 < self.confidence < 1:
            raise ValueError(f"replicates must be at least 1 and confidence between 0 and 1, not {self}")

    def draws(self, n_users: int) -> Iterator[np.ndarray]:
        """Yield int64 [users] for each replicate: how often each user was drawn."""
        generator = np.random.default_rng(self.seed)
        for _ in range(self.replicates):
            yield np.bincount(generator.integers(0, n_users, n_users), minlength=n_users)

    def interval(self, replicates: np.ndarray) -> tuple[float, float] | None:
        """Return the percentile interval of one metric's replicates; None if too few of them define it."""
        defined = _defined(replicates)
        if defined is None:
            return None
        outside = (1 - self.confidence) / 2
        low, high = np.quantile(defined, [outside, 1 - outside], method="weibull")
        return float(low), float(high)


def p_value(differences: np.ndarray) -> float | None:
    """Return the two-sided achieved significance level of "no difference".

    It is twice the share of replicates on the rarer side of 0. One is added to both counts, so that no finite number of
    replicates gives 0 (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 4.2).

    Args:
      differences: float64 [replicates], NaN where undefined.

    Returns:
      None if too few replicates define the metric.
    """
    defined = _defined(differences)
    if defined is None:
        return None
    rarer = min(int(np.count_nonzero(defined <= 0)), int(np.count_nonzero(defined >= 0)))
    return min(1.0, 2 * (rarer + 1) / (len(defined) + 1))


def _defined(replicates: np.ndarray) -> np.ndarray | None:
    """Drop undefined replicates; None if too few remain."""
    defined = replicates[np.isfinite(replicates)]
    return None if len(defined) < MIN_DEFINED * len(replicates) or len(defined) < 2 else defined


def resample(prepared: Sequence[UserMetrics], n_users: int, resampling: Resampling,
             advance: Callable[[], None] = lambda: None) -> tuple[np.ndarray, np.ndarray]:
    """Compute metrics of several models or slices on all users and on each bootstrap replicate.

    Args:
      prepared: one for each model and slice, all weighted by the same users.
      n_users: number of users.
      resampling: how to draw users.
      advance: called after each replicate.

    Returns:
      float64 [prepared, metrics] and float64 [prepared, replicates, metrics], in the order of METRICS; NaN where
      undefined.
    """
    whole = np.stack([metrics.compute(np.ones(n_users, np.int64)) for metrics in prepared])
    replicates = np.empty((len(prepared), resampling.replicates, len(METRICS)))
    for number, weights in enumerate(resampling.draws(n_users)):
        for index, metrics in enumerate(prepared):
            replicates[index, number] = metrics.compute(weights)
        advance()
    return whole, replicates
