"""P values for many comparisons, adjusted so that their number does not produce false findings."""

from __future__ import annotations

import math
from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the p values of one family of tests.

    Rejecting the hypotheses whose adjusted p value is at most a level keeps the probability of any false rejection
    below that level (Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979). This is valid for dependent tests too, such as those of arms that share a baseline.

    Args:
      p_values: one for each test; None for a comparison without a p value.

    Returns:
      the adjusted p values in the same order. None stays None and does not count as a test.
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[index] = largest
    return adjusted


def normal_p_value(value: float, standard_error: float) -> float:
    """Return the two-sided p value of "the true value is 0" for a normally distributed estimate.

    A p value from counting bootstrap replicates is at least 2 / their number, which is too coarse to be adjusted.
    """
    if not standard_error:
        return 1.0 if value == 0 else 0.0
    return math.erfc(abs(value) / standard_error / math.sqrt(2))
