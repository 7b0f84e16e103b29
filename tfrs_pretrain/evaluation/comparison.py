"""Models side by side on the same impressions: metrics with intervals, and paired differences, whole and by part."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfrs_pretrain.evaluation.bootstrap import Resampling, p_value, resample
from tfrs_pretrain.evaluation.slices import Slicing
from tfrs_pretrain.metrics.ranking import METRICS, UserMetrics

ALL = "all"


@dataclasses.dataclass(frozen=True)
class Scored:
    """One set of impressions and the scores of some models.

    Attributes:
      labels: [n] of 0 and 1.
      users: int [n] from 0.
      requests: int [n]; None where they are not known.
      scores: model -> probabilities [n].
    """

    labels: np.ndarray
    users: np.ndarray
    requests: np.ndarray | None
    scores: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Part:
    """Impressions that are judged together.

    Attributes:
      slicing: how they were cut; "all" for the whole.
      name: of the part.
      impressions, positives, users: how many of each.
    """

    slicing: str
    name: str
    impressions: int
    positives: int
    users: int


class Comparison:
    """What the bootstrap found for each model and part.

    Args:
      parts: the whole first.
      models: names.
      whole: float64 [parts, models, metrics].
      replicates: float64 [parts, models, replicates, metrics].
      resampling: how they were drawn.
    """

    def __init__(self, parts: Sequence[Part], models: Sequence[str], whole: np.ndarray, replicates: np.ndarray,
                 resampling: Resampling):
        self.parts = list(parts)
        self.models = list(models)
        self._whole, self._replicates, self._resampling = whole, replicates, resampling

    @classmethod
    def joined(cls, comparisons: Sequence[Comparison]) -> Comparison:
        """One comparison of the models of several, which were judged on the same parts with the same draws."""
        first = comparisons[0]
        if any((each.parts, each._resampling) != (first.parts, first._resampling) for each in comparisons):
            raise ValueError("only comparisons of the same parts and draws can be joined")
        return cls(first.parts, [model for each in comparisons for model in each.models],
                   np.concatenate([each._whole for each in comparisons], axis=1),
                   np.concatenate([each._replicates for each in comparisons], axis=1), first._resampling)

    def value(self, model: str, part: int, metric: str) -> float:
        """One metric of one model; NaN where undefined."""
        return float(self._whole[part, self.models.index(model), METRICS.index(metric)])

    def metrics(self, model: str, part: int = 0) -> dict[str, dict[str, float | None]]:
        """Metric -> value, low and high end of its interval; None where undefined."""
        return self.mean_metrics([model], part)

    def mean_metrics(self, models: Sequence[str], part: int = 0) -> dict[str, dict[str, float | None]]:
        """The same for the mean over models, such as the seeds of one arm."""
        places = [self.models.index(model) for model in models]
        whole, replicates = self._whole[part, places], self._replicates[part, places]
        return self._described(part, whole.mean(axis=0), replicates.mean(axis=0))

    def difference(self, model: str, against: str, part: int = 0) -> dict[str, dict[str, float | None]]:
        """Metric -> ``model`` minus ``against``: value, interval of the paired difference, two-sided p value."""
        return self.mean_difference([(model, against)], part)

    def mean_difference(self, pairs: Sequence[tuple[str, str]], part: int = 0) -> dict[str, dict[str, float | None]]:
        """The same for the mean over pairs, such as two arms with each seed, under the same drawn users."""
        ones, others = ([self.models.index(pair[side]) for pair in pairs] for side in (0, 1))
        whole = (self._whole[part, ones] - self._whole[part, others]).mean(axis=0)
        replicates = (self._replicates[part, ones] - self._replicates[part, others]).mean(axis=0)
        described = self._described(part, whole, replicates)
        for place, name in enumerate(METRICS):
            described[name]["p"] = None if described[name]["low"] is None else p_value(replicates[:, place])
        return described

    def standard_error(self, pairs: Sequence[tuple[str, str]], metric: str, part: int = 0) -> float | None:
        """By user, of the mean difference over pairs: how much its replicates spread; None where it has no interval."""
        if self.mean_difference(pairs, part)[metric]["low"] is None:
            return None
        ones, others = ([self.models.index(pair[side]) for pair in pairs] for side in (0, 1))
        place = METRICS.index(metric)
        changes = (self._replicates[part, ones, :, place] - self._replicates[part, others, :, place]).mean(axis=0)
        return float(np.nanstd(changes, ddof=1))

    def part(self, slicing: str, name: str) -> int:
        """Place of a part.

        Raises:
          KeyError: it was not judged.
        """
        for place, part in enumerate(self.parts):
            if (part.slicing, part.name) == (slicing, name):
                return place
        raise KeyError(f"{slicing}={name}")

    def _described(self, part: int, whole: np.ndarray, replicates: np.ndarray) -> dict[str, dict[str, float | None]]:
        described: dict[str, dict[str, float | None]] = {}
        for place, name in enumerate(METRICS):
            known = bool(np.isfinite(whole[place]))
            # One user has no variation between users to draw from.
            drawn = known and self.parts[part].users > 1
            ends = self._resampling.interval(replicates[:, place]) if drawn else None
            low, high = ends or (None, None)
            described[name] = {"value": float(whole[place]) if known else None, "low": low, "high": high}
        return described


def compare(scored: Scored, slicings: Sequence[Slicing], resampling: Resampling,
            advance: Callable[[], None] = lambda: None) -> Comparison:
    """Judges every model on the whole and on every part of every slicing, with the same drawn users.

    A slice's metrics rank inside the slice only, so slices do not average to the whole.

    Args:
      scored: impressions and scores.
      slicings: cuts of these impressions.
      resampling: how to draw users.
      advance: called after each replicate.
    """
    cuts = [(ALL, ALL, np.arange(len(scored.labels)))]
    cuts += [(cut.name, name, cut.rows(part)) for cut in slicings for part, name in enumerate(cut.parts)]
    parts = [Part(slicing, name, len(rows), int(np.count_nonzero(scored.labels[rows])),
                  len(np.unique(scored.users[rows]))) for slicing, name, rows in cuts]
    judged = [_prepared(scored, scores, rows) for _, _, rows in cuts for scores in scored.scores.values()]
    users = int(scored.users.max(initial=-1)) + 1
    whole, replicates = resample(judged, users, resampling, advance)
    shape = (len(parts), len(scored.scores))
    return Comparison(parts, list(scored.scores), whole.reshape(*shape, -1),
                      replicates.reshape(*shape, *replicates.shape[1:]), resampling)


def _prepared(scored: Scored, scores: np.ndarray, rows: np.ndarray) -> UserMetrics:
    requests = None if scored.requests is None else scored.requests[rows]
    return UserMetrics(scored.labels[rows], scores[rows], scored.users[rows], requests)


def as_json(comparison: Comparison, against: str | None = None) -> list[dict[str, Any]]:
    """Every part with the metrics of each model and, to the model ``against``, the differences of the others."""
    return [{**dataclasses.asdict(part),
             "models": {name: comparison.metrics(name, place) for name in comparison.models},
             "differences": {name: comparison.difference(name, against, place) for name in comparison.models
                             if against is not None and name != against}}
            for place, part in enumerate(comparison.parts)]
