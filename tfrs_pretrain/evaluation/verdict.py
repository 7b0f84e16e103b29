"""Classification of a metric difference as better, worse, or not measurable."""

from __future__ import annotations

from collections.abc import Sequence

from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER

# Differences are printed with four digits: a value below this prints as 0.0000.
PRINTED_AS_ZERO = 5e-5
BETTER, WORSE, SAME, UNDEFINED = "better", "worse", "no measurable difference", "undefined"
RULE = ("better or worse: every available interval (by user; over seeds where there are two or more) excludes 0 as "
        "printed with four digits; otherwise no measurable difference; undefined where there is no interval")


def verdict(metric: str, value: float | None, intervals: Sequence[tuple[float, float]]) -> str:
    """Classify a difference by RULE.

    Args:
      metric: one of METRICS.
      value: the difference; None if undefined.
      intervals: (low, high) of each available interval of the difference.

    Returns:
      BETTER, WORSE, SAME or UNDEFINED.
    """
    if value is None or not intervals:
        return UNDEFINED
    if any(low < PRINTED_AS_ZERO and high > -PRINTED_AS_ZERO for low, high in intervals):
        return SAME
    return BETTER if (value > 0) != (metric in LOWER_IS_BETTER) else WORSE
