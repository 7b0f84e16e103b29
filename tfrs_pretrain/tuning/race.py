"""Race candidates on validation by successive halving."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from tfrs_pretrain.artifact_names import RANKER_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.arms import Arm
from tfrs_pretrain.experiments.experiment_plan import Plan
from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.experiments.scheduler import Scheduler
from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER
from tfrs_pretrain.names import MAX_LENGTH
from tfrs_pretrain.tuning.budget import Budget
from tfrs_pretrain.tuning.halving import Rung, survivors

NO_TIME = "no time left"
STAGE_ONE = "pretraining."


@dataclasses.dataclass(frozen=True)
class RungResult:
    """Outcome of one rung.

    Attributes:
      seeds: seeds that each candidate was trained with.
      values: name -> the metric on validation for each seed, the best mean first; the default is among them.
      left_out: name -> why it has no values.
      kept: names that take part in the next rung, beside the default.
    """

    seeds: Sequence[int]
    values: Mapping[str, Sequence[float]]
    left_out: Mapping[str, str]
    kept: Sequence[str] = ()

    def mean(self, name: str) -> float:
        return fmean(self.values[name])


class Race:
    """A race between the arms of a plan; the first one is the default, which is never dropped.

    Args:
      plan: arms with one candidate each, and the seeds of the last rung.
      output: folder of the pieces.
      scheduler: makes the pieces.
      metric: name of the metric to choose by.
      budget: time that all rungs have.

    Attributes:
      arms: name -> arm, combinations of candidates included.
    """

    def __init__(self, plan: Plan, output: Path, scheduler: Scheduler, metric: str, budget: Budget):
        self._plan, self._output, self._scheduler, self._budget = plan, output, scheduler, budget
        self._metric, self._sign = metric, 1 if metric in LOWER_IS_BETTER else -1
        self.arms = {arm.name: arm for arm in plan.arms}
        self._default = plan.arms[0].name

    def run(self, rungs: Sequence[Rung]) -> list[RungResult]:
        """Run the rungs until one has no finished candidate, or no default to compare with."""
        racing, results = [name for name in self.arms if name != self._default], list[RungResult]()
        for index, rung in enumerate(rungs):
            result = self._run_rung([self._default, *racing], rung)
            finished = [name for name in result.values if name != self._default]
            goes_on = finished and self._default in result.values and index < len(rungs) - 1
            racing = finished[:survivors(len(finished))] if goes_on else []
            if index == 0 and racing:
                racing += self._combination(result)
            results.append(dataclasses.replace(result, kept=racing))
            if not racing:
                break
        return results

    def pieces(self, name: str, seeds: int) -> list[Piece]:
        """Return the rankers of a candidate for the first seeds."""
        arm = self.arms[name]
        return [self._plan.ranker(arm, arm.candidates[0], seed, test=False) for seed in self._plan.seeds[:seeds]]

    def _run_rung(self, names: Sequence[str], rung: Rung) -> RungResult:
        pieces = {name: self.pieces(name, rung.seeds) for name in names}
        self._scheduler.run(itertools.chain.from_iterable(pieces.values()), self._budget.limit(rung.finish_by))
        values, left_out = dict[str, list[float]](), dict[str, str]()
        for name, rankers in pieces.items():
            reason = self._missing(rankers)
            if reason:
                left_out[name] = reason
            else:
                values[name] = [self._value(ranker) for ranker in rankers]
        best_first = sorted(values, key=lambda name: self._sign * fmean(values[name]))
        return RungResult(self._plan.seeds[:rung.seeds], {name: values[name] for name in best_first}, left_out)

    def _missing(self, rankers: Sequence[Piece]) -> str | None:
        """Return why rankers have no value; None if all have one."""
        for ranker in rankers:
            if ranker in self._scheduler.failures:
                return self._scheduler.failures[ranker]
            if not ranker.is_finished(self._output):
                return NO_TIME
            if not math.isfinite(self._value(ranker)):
                return f"its {self._metric} on validation is undefined"
        return None

    def _value(self, ranker: Piece) -> float:
        value = read_manifest(ranker.folder(self._output), RANKER_KIND)["metrics"]["validation"][self._metric]
        return math.nan if value is None else float(value)

    def _combination(self, result: RungResult) -> list[str]:
        """Add the best change of Stage I together with the best other change, if both are better than the default."""
        names = list(result.values)
        better = [self.arms[name] for name in names[:names.index(self._default)] if self._is_pretrained(name)]
        one = next((arm for arm in better if _changes_stage_one(arm)), None)
        two = next((arm for arm in better if not _changes_stage_one(arm)), None)
        if one is None or two is None:
            return []
        name = f"{one.name}-and-{two.name}"[:MAX_LENGTH]
        both = Arm(name, name, ({**two.candidates[0], **one.candidates[0]},), None)
        try:
            self._plan.config(both, both.candidates[0])
        except UserError:
            return []  # the two do not fit together
        self.arms[both.name] = both
        return [both.name]

    def _is_pretrained(self, name: str) -> bool:
        arm = self.arms[name]
        return any(each.pretrained_tables for each in self._plan.config(arm, arm.candidates[0]).ranking.arms.values())


def _changes_stage_one(arm: Arm) -> bool:
    return any(key.startswith(STAGE_ONE) for key in arm.candidates[0])
