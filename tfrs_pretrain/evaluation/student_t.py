"""Student's t interval and test for a mean over training seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def interval_over_seeds(values: Sequence[float], confidence: float) -> tuple[float, float] | None:
    """Return the interval of the mean of values that differ by their training seed; None for fewer than two.

    Student's interval assumes that the seeds are draws from a normal distribution. With two or three it is wide, as it
    should be.
    """
    if len(values) < 2:
        return None
    mean = float(np.mean(values))
    half_width = t_quantile(confidence, len(values) - 1) * float(np.std(values, ddof=1))
    half_width /= math.sqrt(len(values))
    return mean - half_width, mean + half_width


def p_value_over_seeds(values: Sequence[float]) -> float | None:
    """Return the two-sided p value of "the mean is 0" by the one-sample t test; None for fewer than two values."""
    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return p_value(mean, error, len(values) - 1)


def p_value(value: float, standard_error: float, degrees: int) -> float:
    """Return the two-sided p value of "the true value is 0" by Student's distribution."""
    if not standard_error:
        return 1.0 if value == 0 else 0.0
    return max(0.0, 1 - _central_probability(math.atan(abs(value) / standard_error / math.sqrt(degrees)), degrees))


def t_quantile(confidence: float, degrees: int) -> float:
    """Return the t with P(-t <= T <= t) = ``confidence`` for Student's T of ``degrees`` degrees of freedom."""
    low, high = 0.0, math.pi / 2
    while high - low > 1e-15 * high:  # bisection over the angle, which is bounded: t = tan(angle) sqrt(degrees)
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _central_probability(middle, degrees) < confidence else (low, middle)
    return math.sqrt(degrees) * math.tan(high)


def _central_probability(angle: float, degrees: int) -> float:
    """Return P(|T| <= sqrt(degrees) tan(angle)).

    Abramowitz and Stegun, "Handbook of Mathematical Functions", equations 26.7.3 and 26.7.4.
    """
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term, total = (cosine if odd else 1.0), 0.0
    for power in range(1 if odd else 0, degrees - 1, 2):
        total += term
        term *= cosine * cosine * (power + 1) / (power + 2)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
