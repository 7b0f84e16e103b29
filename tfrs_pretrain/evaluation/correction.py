"""p values of many comparisons: the more are made, the more of them look like something by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p values of one family: rejecting those up to a level keeps the chance of any false finding below it.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979. It
    holds however the tests depend on each other, as those of arms do that share a baseline. None, for a comparison
    without a p value, stays None and does not count.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = largest
    return adjusted


def normal_p(value: float, standard_error: float) -> float:
    """Two-sided p value of "no difference", taking the estimate as normally distributed.

    Counts of bootstrap replicates cannot go below 2 in their number, which is too coarse to be corrected.
    """
    if not standard_error:
        return 1.0 if value == 0 else 0.0
    return math.erfc(abs(value) / standard_error / math.sqrt(2))
