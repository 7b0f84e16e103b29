"""What a number of seeds can show: the difference that a t test over seeds detects with a given probability."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfrs_pretrain.evaluation.student_t import t_quantile

SEEDS = (3, 5, 10, 20, 40)  # of the table
POINTS = 400  # of the integral


def power(difference: float, deviation: float, seeds: int, level: float = 0.05) -> float:
    """Return the probability that the two-sided t test finds a difference.

    Args:
      difference: true mean.
      deviation: standard deviation over seeds, above 0.
      seeds: number of seeds, at least 2.
      level: of the test.

    The statistic is noncentral t: |Z + d sqrt(n) / s| > t S, where Z is normal and (n - 1) S^2 is chi-squared with
    n - 1 degrees of freedom. The integral over S is a sum over the middle of equal steps.
    """
    degrees = seeds - 1
    shift, limit = difference * math.sqrt(seeds) / deviation, t_quantile(1 - level, degrees)
    width = 8 / math.sqrt(2 * degrees)
    ratio = np.linspace(max(0.0, 1 - width), 1 + width, POINTS + 1)
    ratio = (ratio[1:] + ratio[:-1]) / 2
    log_density = (degrees - 1) * np.log(ratio) - degrees * np.square(ratio) / 2
    density = np.exp(log_density - log_density.max())
    detected = np.array([_normal(shift - limit * each) + _normal(-shift - limit * each) for each in ratio])
    return float(density @ detected / density.sum())


def detectable(deviation: float, seeds: int, *, probability: float = 0.8, level: float = 0.05) -> float:
    """Return the smallest true difference that the t test over seeds finds with a probability.

    Args:
      deviation: standard deviation of the difference over seeds.
      seeds: number of seeds, at least 2.
      probability: of finding it.
      level: of the test.
    """
    if not deviation:
        return 0.0
    low, high = 0.0, 1.0
    while power(high, 1.0, seeds, level) < probability:
        low, high = high, 2 * high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, 1.0, seeds, level) < probability else (low, middle)
    return high * deviation


def power_table(by_seed: Sequence[Sequence[float]]) -> dict[str, object] | None:
    """Return what further seeds could show, as ``power`` of ``results.json``.

    Args:
      by_seed: differences over the same seeds, one list for each comparison.

    Returns:
      ``deviation``, the root mean square of their standard deviations, and ``detectable``: number of seeds ->
      difference found with 80 % probability at a level of 5 %. None without a comparison over two seeds.
    """
    variances = [float(np.var(values, ddof=1)) for values in by_seed if len(values) > 1]
    if not variances:
        return None
    deviation = math.sqrt(float(np.mean(variances)))
    return {"deviation": deviation, "detectable": {str(seeds): detectable(deviation, seeds) for seeds in SEEDS}}


def _normal(value: float) -> float:
    """Return P(Z <= value)."""
    return math.erfc(-value / math.sqrt(2)) / 2
