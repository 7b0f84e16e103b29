"""How far a mean over training seeds could be off: Student's t."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def interval_over_seeds(values: Sequence[float], confidence: float) -> tuple[float, float] | None:
    """Interval of the mean of values that differ by their seed alone; None for fewer than two.

    Student's interval takes the seeds as draws from a normal distribution. With two or three it is wide, as it should
    be.
    """
    if len(values) < 2:
        return None
    mean, reach = float(np.mean(values)), t_quantile(confidence, len(values) - 1) * float(np.std(values, ddof=1))
    reach /= math.sqrt(len(values))
    return mean - reach, mean + reach


def p_over_seeds(values: Sequence[float]) -> float | None:
    """Two-sided p value of "the mean is 0" by Student's t test of one sample; None for fewer than two values."""
    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    if not error:
        return 1.0 if mean == 0 else 0.0
    degrees = len(values) - 1
    return max(0.0, 1 - _within(math.atan(abs(mean) / error / math.sqrt(degrees)), degrees))


def t_quantile(confidence: float, degrees: int) -> float:
    """The t that a Student variable of ``degrees`` degrees of freedom stays within, either side, so often."""
    low, high = 0.0, math.pi / 2
    while high - low > 1e-15 * high:  # in the angle, which is bounded: t is its tangent times sqrt(degrees)
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _within(middle, degrees) < confidence else (low, middle)
    return math.sqrt(degrees) * math.tan(high)


def _within(angle: float, degrees: int) -> float:
    """P(|T| <= sqrt(degrees) tan(angle)).

    Abramowitz and Stegun, "Handbook of Mathematical Functions", equations 26.7.3 and 26.7.4.
    """
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term, total = (cosine if odd else 1.0), 0.0
    for power in range(1 if odd else 0, degrees - 1, 2):
        total += term
        term *= cosine * cosine * (power + 1) / (power + 2)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
