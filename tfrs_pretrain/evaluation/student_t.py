"""Student's t interval and test for a mean, such as that over training seeds."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np

MAX_DEGREES = 1000  # above, the quantile differs from that of the normal distribution by less than 0.2 %


def interval_over_seeds(values: Sequence[float], confidence: float) -> tuple[float, float] | None:
    """Return the interval of the mean of values that differ by their training seed; None for fewer than two.

    Student's interval assumes that the seeds are draws from a normal distribution. With two or three it is wide, as it
    should be.
    """
    return interval_of_mean(np.asarray(values), confidence)


def interval_of_mean(values: np.ndarray, confidence: float) -> tuple[float, float] | None:
    """Return the interval of the mean of independent values [n]; None for fewer than two."""
    if len(values) < 2:
        return None
    mean = float(np.mean(values))
    half_width = t_quantile(confidence, min(len(values) - 1, MAX_DEGREES)) * float(np.std(values, ddof=1))
    half_width /= math.sqrt(len(values))
    return mean - half_width, mean + half_width


def intervals_json(values: Mapping[str, np.ndarray], confidence: float) -> dict[str, list[float] | None]:
    """Return name -> [low, high] of the interval of the mean of values [n]; None for fewer than two."""
    ends = {name: interval_of_mean(each, confidence) for name, each in values.items()}
    return {name: list(each) if each else None for name, each in ends.items()}


def p_value_over_seeds(values: Sequence[float]) -> float | None:
    """Return the two-sided p value of "the mean is 0" by the one-sample t test; None for fewer than two values."""
    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    if not error:
        return 1.0 if mean == 0 else 0.0
    degrees = len(values) - 1
    return max(0.0, 1 - _central_probability(math.atan(abs(mean) / error / math.sqrt(degrees)), degrees))


@functools.cache
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
