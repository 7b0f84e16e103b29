"""The difference of one metric between two arms, with both intervals, a verdict and p values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfrs_pretrain.evaluation.comparison import Comparison
from tfrs_pretrain.evaluation.multiple_testing import holm, normal_p_value
from tfrs_pretrain.evaluation.student_t import interval_over_seeds, p_value_over_seeds
from tfrs_pretrain.evaluation.verdict import BETTER, WORSE, verdict
from tfrs_pretrain.results.study_evaluation import RESAMPLING

Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Difference:
    """One metric of an arm minus that of another arm. None: undefined.

    Attributes:
      value: mean over the seeds.
      by_seed: one difference per seed.
      users: interval by user.
      seeds: interval over seeds; None for one seed.
      verdict: BETTER, WORSE, SAME or UNDEFINED.
      p_users: p value by user.
      p_seeds: p value over seeds; None for one seed.
    """

    value: float | None
    by_seed: list[float] | None
    users: Interval | None
    seeds: Interval | None
    verdict: str
    p_users: float | None
    p_seeds: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class CorrectedDifference(Difference):
    """A difference that belongs to a family of comparisons.

    Attributes:
      p: the larger of both p values, because both must exclude chance.
      p_corrected: ``p`` after Holm's correction within the family.
      holds: whether the verdict is BETTER or WORSE also after the correction.
    """

    p: float | None
    p_corrected: float | None
    holds: bool


def difference(comparison: Comparison, pairs: Sequence[tuple[str, str]], part: int, metric: str) -> Difference:
    """Return the mean difference over pairs of runs, one pair per seed.

    Args:
      comparison: bootstrap results of all runs.
      pairs: names of the run and of the run it is compared with.
      part: index of the slice; 0 for all impressions.
      metric: one of METRICS.
    """
    mean = comparison.mean_difference(pairs, part)[metric]
    value, low, high = mean["value"], mean["low"], mean["high"]
    users = None if low is None or high is None else (low, high)
    if value is None:
        return Difference(None, None, users, None, verdict(metric, None, []), None, None)
    by_seed = [comparison.value(run, part, metric) - comparison.value(other, part, metric) for run, other in pairs]
    seeds = interval_over_seeds(by_seed, RESAMPLING.confidence)
    error = comparison.standard_error(pairs, metric, part)
    return Difference(value, by_seed, users, seeds, verdict(metric, value, [ends for ends in (users, seeds) if ends]),
                      None if error is None else normal_p_value(value, error), p_value_over_seeds(by_seed))


def corrected(differences: Sequence[Difference]) -> list[CorrectedDifference]:
    """Correct the p values of one metric in one family of comparisons.

    The only difference of a family needs no correction, so its verdict holds whatever its p value is.
    """
    larger = [max((p for p in (each.p_users, each.p_seeds) if p is not None), default=None) for each in differences]
    adjusted = holm(larger)
    is_single = sum(p is not None for p in adjusted) == 1
    return [CorrectedDifference(**vars(each), p=p, p_corrected=p_corrected, holds=each.verdict in (BETTER, WORSE) and (
        is_single or (p_corrected is not None and p_corrected <= 1 - RESAMPLING.confidence)))
        for each, p, p_corrected in zip(differences, larger, adjusted, strict=True)]
