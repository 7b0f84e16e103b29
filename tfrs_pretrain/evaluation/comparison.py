"""Models compared on the same impressions: metrics with intervals and paired differences, overall and by slice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from tfrs_pretrain.evaluation.bootstrap import Resampling, p_value, resample
from tfrs_pretrain.evaluation.slices import Slicing
from tfrs_pretrain.metrics.ranking import METRICS, UserMetrics

ALL = "all"


class Estimate(TypedDict):
    """A metric and the ends of its interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None


class Difference(Estimate):
    """A paired difference with its interval and two-sided p value; None where undefined."""

    p: float | None


@dataclasses.dataclass(frozen=True)
class Part:
    """A slice of the impressions.

    Attributes:
      slicing: name of the partition; "all" for all impressions.
      name: of the slice.
      impressions: number of impressions.
      positives: number of impressions with label 1.
      users: number of distinct users.
    """

    slicing: str
    name: str
    impressions: int
    positives: int
    users: int


@dataclasses.dataclass(frozen=True)
class ScoredImpressions:
    """One set of impressions and the scores of several models.

    Attributes:
      labels: [n] of 0 and 1.
      users: int [n] user numbers from 0.
      requests: int [n] request numbers; None if unknown.
      scores: model -> probabilities [n].
      weights: float [n] of the impressions; None counts each once.
    """

    labels: np.ndarray
    users: np.ndarray
    requests: np.ndarray | None
    scores: Mapping[str, np.ndarray]
    weights: np.ndarray | None = None

    def describe(self, slicing: str, name: str, positions: np.ndarray | slice) -> Part:
        """Count the impressions at int64 positions, or in a slice."""
        labels, occurs = self.labels[positions], np.zeros(int(self.users.max(initial=-1)) + 1, bool)
        occurs[self.users[positions]] = True
        return Part(slicing, name, len(labels), int(np.count_nonzero(labels)), int(np.count_nonzero(occurs)))

    def prepare(self, model: str, positions: np.ndarray | slice) -> UserMetrics:
        """Prepare the metrics of one model on the impressions at int64 positions, or on a slice, without a copy."""
        requests = None if self.requests is None else self.requests[positions]
        weights = None if self.weights is None else self.weights[positions]
        return UserMetrics(self.labels[positions], self.scores[model][positions], self.users[positions], requests,
                           weights)


@dataclasses.dataclass(frozen=True)
class PartResult:
    """The estimates of one slice.

    Attributes:
      part: the slice.
      models: model -> metric -> estimate.
      differences: model -> metric -> difference from the reference model; empty without a reference.
    """

    part: Part
    models: dict[str, dict[str, Estimate]]
    differences: dict[str, dict[str, Difference]]

    def to_json(self) -> dict[str, Any]:
        """Return the fields of ``part``, then ``models`` and ``differences``."""
        return {**dataclasses.asdict(self.part), "models": self.models, "differences": self.differences}


class Comparison:
    """Bootstrap results of several models on several slices.

    Args:
      parts: the slices, all impressions first.
      models: names.
      whole: float64 [parts, models, metrics].
      replicates: float64 [parts, models, replicates, metrics].
      resampling: how the replicates were drawn.
    """

    def __init__(self, parts: Sequence[Part], models: Sequence[str], whole: np.ndarray, replicates: np.ndarray,
                 resampling: Resampling):
        self.parts = list(parts)
        self.models = list(models)
        self._whole, self._replicates, self._resampling = whole, replicates, resampling

    @classmethod
    def joined(cls, comparisons: Sequence[Comparison]) -> Comparison:
        """Join comparisons of different models.

        Raises:
          ValueError: they do not have the same parts and draws.
        """
        first = comparisons[0]
        if any((each.parts, each._resampling) != (first.parts, first._resampling) for each in comparisons):
            raise ValueError("only comparisons of the same parts and draws can be joined")
        return cls(first.parts, [model for each in comparisons for model in each.models],
                   np.concatenate([each._whole for each in comparisons], axis=1),
                   np.concatenate([each._replicates for each in comparisons], axis=1), first._resampling)

    def value(self, model: str, part: int, metric: str) -> float:
        """Return one metric of one model; NaN where undefined."""
        return float(self._whole[part, self.models.index(model), METRICS.index(metric)])

    def metrics(self, model: str, part: int = 0) -> dict[str, Estimate]:
        """Estimate every metric of one model."""
        return self.mean_metrics([model], part)

    def mean_metrics(self, models: Sequence[str], part: int = 0) -> dict[str, Estimate]:
        """Estimate every metric's mean over models, such as the training seeds of one arm."""
        indices = [self.models.index(model) for model in models]
        whole, replicates = self._whole[part, indices], self._replicates[part, indices]
        return self._estimates(part, whole.mean(axis=0), replicates.mean(axis=0))

    def difference(self, model: str, against: str, part: int = 0) -> dict[str, Difference]:
        """Estimate ``model`` minus ``against`` for every metric, paired by the drawn users."""
        return self.mean_difference([(model, against)], part)

    def mean_difference(self, pairs: Sequence[tuple[str, str]], part: int = 0) -> dict[str, Difference]:
        """Estimate the mean difference over pairs of models, such as two arms with each seed, paired by drawn users."""
        whole, replicates = self._differences(pairs, part)
        estimates = self._estimates(part, whole, replicates)
        return {name: {**estimates[name],
                       "p": None if estimates[name]["low"] is None else p_value(replicates[:, METRICS.index(name)])}
                for name in METRICS}

    def standard_error(self, pairs: Sequence[tuple[str, str]], metric: str, part: int = 0) -> float | None:
        """Return the standard deviation of the replicates of a mean difference; None where it has no interval."""
        if self.mean_difference(pairs, part)[metric]["low"] is None:
            return None
        _, replicates = self._differences(pairs, part)
        return float(np.nanstd(replicates[:, METRICS.index(metric)], ddof=1))

    def part(self, slicing: str, name: str) -> int:
        """Return the index of a part.

        Raises:
          KeyError: the comparison has no such part.
        """
        for index, part in enumerate(self.parts):
            if (part.slicing, part.name) == (slicing, name):
                return index
        raise KeyError(f"{slicing}={name}")

    def part_results(self, against: str | None = None) -> list[PartResult]:
        """Return the estimates of every part, with differences from the model ``against`` if it is given."""
        others = [name for name in self.models if against is not None and name != against]
        return [PartResult(part, {name: self.metrics(name, index) for name in self.models},
                           {name: self.difference(name, str(against), index) for name in others})
                for index, part in enumerate(self.parts)]

    def _differences(self, pairs: Sequence[tuple[str, str]], part: int) -> tuple[np.ndarray, np.ndarray]:
        """Return float64 [metrics] and [replicates, metrics], means over the pairs."""
        ones, others = ([self.models.index(pair[side]) for pair in pairs] for side in (0, 1))
        return ((self._whole[part, ones] - self._whole[part, others]).mean(axis=0),
                (self._replicates[part, ones] - self._replicates[part, others]).mean(axis=0))

    def _estimates(self, part: int, whole: np.ndarray, replicates: np.ndarray) -> dict[str, Estimate]:
        return {name: self._estimate(part, float(whole[index]), replicates[:, index])
                for index, name in enumerate(METRICS)}

    def _estimate(self, part: int, value: float, replicates: np.ndarray) -> Estimate:
        if not np.isfinite(value):
            return {"value": None, "low": None, "high": None}
        # With a single user there is no variation between users to draw from.
        interval = self._resampling.interval(replicates) if self.parts[part].users > 1 else None
        low, high = interval or (None, None)
        return {"value": value, "low": low, "high": high}


def compare(scored: ScoredImpressions, slicings: Sequence[Slicing], resampling: Resampling,
            advance: Callable[[], None] = lambda: None) -> Comparison:
    """Evaluate every model on all impressions and on every part of every slicing, with the same drawn users.

    A slice's metrics rank within the slice, so slices do not average to the whole.

    Args:
      scored: impressions and scores.
      slicings: partitions of these impressions.
      resampling: how to draw users.
      advance: called after each replicate.
    """
    parts: list[Part] = []
    prepared: list[UserMetrics] = []
    for slicing, name, inside in _slices(slicings):  # one after another: their positions together exceed the columns
        parts.append(scored.describe(slicing, name, inside))
        prepared += [scored.prepare(model, inside) for model in scored.scores]
    n_users = int(scored.users.max(initial=-1)) + 1
    whole, replicates = resample(prepared, n_users, resampling, advance)
    shape = (len(parts), len(scored.scores))
    return Comparison(parts, list(scored.scores), whole.reshape(*shape, -1),
                      replicates.reshape(*shape, *replicates.shape[1:]), resampling)


def _slices(slicings: Sequence[Slicing]) -> Iterator[tuple[str, str, np.ndarray | slice]]:
    """Yield the name, the part and the positions of each slice, all impressions first."""
    yield ALL, ALL, slice(None)
    for slicing in slicings:
        for part, name in enumerate(slicing.parts):
            yield slicing.name, name, slicing.positions(part)
