"""Evaluation of one model, or of two models compared, on the impressions that they scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import Comparison, PartResult, ScoredImpressions, compare
from tfrs_pretrain.evaluation.predictions import SLICINGS, Predictions, Reader, Source, align
from tfrs_pretrain.evaluation.slices import Slicing
from tfrs_pretrain.progress import progress
from tfrs_pretrain.schema import LABEL

# A feature may have thousands of values; beyond the largest, the values form one slice.
MAX_FEATURE_SLICES = 20
MODEL, AGAINST = "model", "against"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Metrics of one model, or of two with their differences.

    Attributes:
      split: "validation" or "test".
      label: head that was evaluated.
      models: MODEL and, in a comparison, AGAINST -> where its predictions come from.
      resampling: how users were drawn.
      notes: sentences about what differs or could not be evaluated.
      parts: estimates on all impressions first, then on each slice.
    """

    split: str
    label: str
    models: dict[str, Source]
    resampling: Resampling
    notes: list[str]
    parts: list[PartResult]

    @property
    def is_comparison(self) -> bool:
        return AGAINST in self.models

    def to_json(self) -> dict[str, Any]:
        """Return the content of the file that ``tfrs-pretrain evaluate --json`` writes."""
        return {"split": self.split, "label": self.label, "models": self.models,
                "resampling": {"unit": "user", "replicates": self.resampling.replicates,
                               "confidence": self.resampling.confidence, "seed": self.resampling.seed,
                               "interval": "percentile"},
                "notes": self.notes, "parts": [result.to_json() for result in self.parts]}


def evaluate(model: Path, against: Path | None = None, *, split: str = "test", label: str = LABEL,
             slices: Sequence[str] = (), resampling: Resampling | None = None,
             read: Reader = Predictions.open) -> Evaluation:
    """Compute metrics with intervals, overall and by slice, and paired differences between two models.

    Args:
      model: a ranker artifact, or an exported version whose ranker is still in its place.
      against: the model to compare with; differences are ``model`` minus ``against``.
      split: "validation" or "test".
      label: head to evaluate.
      slices: categorical features to slice by, in addition to item frequency, new items and new users.
      resampling: how to draw users.
      read: returns the predictions; by default the stored ones.

    Raises:
      UserError: a model cannot be opened, compared or sliced.
    """
    resampling = resampling or Resampling()
    opened = {MODEL: read(model, split, label)}
    notes: list[str] = []
    if against is not None:
        opened[MODEL], opened[AGAINST], notes = align(opened[MODEL], read(against, split, label))
    first = opened[MODEL]
    notes += undefined_notes(first)
    built_in = [name for name in SLICINGS if name in first.slicings]
    slicings = [first.slicing(name) if name in SLICINGS else first.slicing(name).largest(MAX_FEATURE_SLICES)
                for name in dict.fromkeys([*built_in, *slices])]
    comparison = compare_predictions(opened, slicings, resampling)
    return Evaluation(split, label, {name: predictions.source for name, predictions in opened.items()}, resampling,
                      notes, comparison.part_results(AGAINST if against is not None else None))


def compare_predictions(models: dict[str, Predictions], slicings: Sequence[Slicing], resampling: Resampling
                        ) -> Comparison:
    """Compare aligned predictions and show progress.

    Args:
      models: name -> predictions, all on the same impressions in the same order.
      slicings: partitions of these impressions.
      resampling: how to draw users.

    Raises:
      UserError: there are no impressions.
    """
    first = next(iter(models.values()))
    if not first.table.num_rows:
        what = f"{first.unlabelled:,} impressions, none with label {first.label!r}" if first.unlabelled else (
            "no impressions")
        raise UserError(f"{first.source['path']!r} scored {what}: choose another split")
    scored = ScoredImpressions(first.labels, first.users, first.requests,
                               {name: predictions.scores for name, predictions in models.items()}, first.weights)
    with progress("draw users", total=resampling.replicates, unit="replicates") as meter:
        return compare(scored, slicings, resampling, meter.advance)


def undefined_notes(predictions: Predictions) -> list[str]:
    """Explain in sentences which impressions were left out, and which metrics and slices are undefined."""
    notes = []
    if predictions.unlabelled:
        total = predictions.table.num_rows + predictions.unlabelled
        notes.append(f"{predictions.unlabelled:,} of {total:,} impressions have no label and do not count")
    if predictions.weights is not None:
        notes.append("impressions are weighted, except within requests (recall and NDCG)")
    if predictions.requests is None:
        notes.append("no recall and NDCG within requests: the dataset was built without schema.request")
    labels = predictions.labels
    if len(labels) and labels.min() == labels.max():
        notes.append(f"every label is {labels[0]:g}: metrics that order impressions, such as AUC, are not defined")
    if not predictions.slicings:
        notes.append("no slices: these predictions are of an older version, without the columns that slices need")
    return notes
