"""Whether a difference between two ways to train is more than noise."""

from __future__ import annotations

from collections.abc import Sequence

from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER

# Differences are shown with four digits: what rounds to nothing there is nothing to speak of.
SHOWN = 5e-5
BETTER, WORSE, SAME, UNDEFINED = "better", "worse", "no measurable difference", "undefined"
RULE = ("better or worse: every interval that exists (by user; over seeds where there are two or more) leaves out 0 as "
        "shown with four digits; otherwise no measurable difference; undefined where there is no interval")


def verdict(metric: str, value: float | None, intervals: Sequence[tuple[float, float]]) -> str:
    """What a difference of a metric means, see RULE."""
    if value is None or not intervals:
        return UNDEFINED
    if any(low < SHOWN and high > -SHOWN for low, high in intervals):
        return SAME
    return BETTER if (value > 0) != (metric in LOWER_IS_BETTER) else WORSE
