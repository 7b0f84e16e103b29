"""One model, or two side by side, judged on the impressions that they scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import Comparison, Scored, as_json, compare
from tfrs_pretrain.evaluation.predictions import SLICINGS, Predictions, Reader, align
from tfrs_pretrain.evaluation.slices import Slicing
from tfrs_pretrain.progress import progress

# A feature may have thousands of values; the rest of them are judged together.
LARGEST = 20
MODEL, AGAINST = "model", "against"


def evaluate(model: Path, against: Path | None = None, *, split: str = "test", label: str = "label",
             slices: Sequence[str] = (), resampling: Resampling | None = None,
             read: Reader = Predictions.open) -> dict[str, Any]:
    """Metrics with intervals, whole and by slice, and paired differences where there are two models.

    Args:
      model: a ranker artifact, or an exported version whose ranker still lies where it was.
      against: the same; differences are ``model`` minus ``against``.
      split: "validation" or "test".
      label: which head to judge.
      slices: categorical features to slice by, beside item frequency, new items and new users.
      resampling: how to draw users.
      read: where predictions come from; by default those that were stored.

    Returns:
      JSON: what was judged, how, ``notes`` and ``parts``, the whole first, see ``comparison.as_json``.

    Raises:
      UserError: something cannot be opened, compared or sliced.
    """
    resampling = resampling or Resampling()
    opened = {MODEL: read(model, split, label)}
    notes: list[str] = []
    if against is not None:
        opened[MODEL], opened[AGAINST], notes = align(opened[MODEL], read(against, split, label))
    first = opened[MODEL]
    notes += missing_context(first)
    cuts = [first.slicing(name).largest(LARGEST) if name not in SLICINGS else first.slicing(name)
            for name in dict.fromkeys([*(name for name in SLICINGS if name in first.slicings), *slices])]
    comparison = judged(opened, cuts, resampling)
    return {"split": split, "label": label, "models": {name: one.source for name, one in opened.items()},
            "resampling": {"unit": "user", "replicates": resampling.replicates, "confidence": resampling.confidence,
                           "seed": resampling.seed, "interval": "percentile"},
            "notes": notes, "parts": as_json(comparison, AGAINST if against is not None else None)}


def judged(models: dict[str, Predictions], cuts: Sequence[Slicing], resampling: Resampling) -> Comparison:
    """Compares aligned predictions, with progress.

    Raises:
      UserError: there is nothing to judge.
    """
    first = next(iter(models.values()))
    if not first.table.num_rows:
        raise UserError(f"{first.source['path']!r} scored no impressions: choose another split")
    scored = Scored(first.labels, first.users, first.requests, {name: one.scores for name, one in models.items()})
    with progress("draw users", total=resampling.replicates, unit="replicates") as meter:
        return compare(scored, cuts, resampling, meter.advance)


def missing_context(predictions: Predictions) -> list[str]:
    """What cannot be judged, in sentences."""
    notes = []
    if predictions.requests is None:
        notes.append("no recall and NDCG within requests: the dataset was built without schema.request")
    labels = predictions.labels
    if len(labels) and labels.min() == labels.max():
        notes.append(f"every label is {labels[0]:g}: metrics that order impressions, such as AUC, are not defined")
    if not predictions.slicings:
        notes.append("no slices: these predictions were written before predictions held what slices need")
    return notes
