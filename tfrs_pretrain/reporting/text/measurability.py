"""Explain when a difference counts as measurable, and what the number of comparisons and seeds means for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.evaluation.student_t import t_quantile
from tfrs_pretrain.reporting.text.formats import number


def measurability(results: Mapping[str, Any]) -> str:
    """Return the rule for a measurable difference, the correction for many comparisons, and a note on two seeds."""
    num_seeds = len(results["seeds"])
    intervals = (f"the interval by user and the interval over the {num_seeds} seeds" if num_seeds > 1 else
                 "here only the interval by user, which does not include the variation between training seeds")
    return " ".join(filter(None, [
        f"A difference is measurable if every available 95 % interval excludes 0: {intervals}.",
        _correction(results["multiplicity"]), _slices(results["multiplicity"]), _two_seeds(num_seeds)]))


def _correction(multiplicity: Mapping[str, Any]) -> str:
    num_arms = multiplicity["families"]["baseline"]
    if num_arms < 2:
        return ""
    return (f"{num_arms} arms are compared with the baseline, so one of them may look different by chance: "
            "“uncorrected” marks a difference that is measurable on its own but not after Holm's correction, which "
            "keeps the probability of any such false finding in a metric below 5 %.")


def _slices(multiplicity: Mapping[str, Any]) -> str:
    if not multiplicity["differences_by_slice"]:
        return ""
    return (f"The {multiplicity['differences_by_slice']} differences by slice are not corrected: of all intervals by "
            f"user, about {number(multiplicity['expected_by_chance'], 0)} would exclude 0 even if no arms differed.")


def _two_seeds(num_seeds: int) -> str:
    """Return how large a difference must be to be measurable with two seeds; empty for other numbers of seeds."""
    if num_seeds != 2:
        return ""
    two, three, five = (number(t_quantile(0.95, seeds - 1) / math.sqrt(seeds), 1) for seeds in (2, 3, 5))
    return ("Two seeds show the variation between seeds, but can hardly show that one arm is better: the mean "
            f"difference must be {two} times its standard deviation over seeds, with three seeds {three} times, with "
            f"five {five} times. “Not measurable” then means undecided, not equal: train more seeds.")
