"""Promotion gate between a candidate and the live model: thresholds and non-inferiority, each check with its numbers.

Non-inferiority: the interval of the paired difference from the live model, by user, must not extend beyond a margin on
the worse side. With the two-sided 95 % interval this is a one-sided test at 2.5 %, as is usual for non-inferiority
(Piaggio et al., "Reporting of Noninferiority and Equivalence Randomized Trials", JAMA 308, 2012). Thresholds are
compared with the candidate's value itself; its interval is reported too.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.config.gate import Gate, Requirements, better
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import ALL, Comparison, Estimate
from tfrs_pretrain.evaluation.evaluate import compare_predictions, undefined_notes
from tfrs_pretrain.evaluation.predictions import SLICINGS, Predictions, Reader, Source, align
from tfrs_pretrain.evaluation.slices import Slicing

PROMOTED, REFUSED = "promoted", "refused"
CANDIDATE, LIVE = "candidate", "live"


@dataclasses.dataclass(frozen=True)
class Check:
    """One requirement of the gate and the numbers that decide it.

    Attributes:
      slice: "all" or "<slicing>=<part>".
      metric: one of METRICS, or "impressions".
      kind: "min_impressions", "min", "max" or "non_inferior".
      limit: the required number of impressions, the threshold or the margin.
      numbers: ``value``, for metrics with the interval ``low`` and ``high``; for a difference also ``p`` and
        ``shared_impressions``.
      passed: None if it cannot be decided because there is no live model.
    """

    slice: str
    metric: str
    kind: str
    limit: float
    numbers: Mapping[str, Any]
    passed: bool | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields, with ``numbers`` inlined."""
        return {"slice": self.slice, "metric": self.metric, "kind": self.kind, "limit": self.limit, **self.numbers,
                "passed": self.passed}


@dataclasses.dataclass(frozen=True)
class Promotion:
    """The decision about a candidate.

    Attributes:
      models: CANDIDATE and LIVE -> where its predictions come from.
      checks: one for each requirement of the gate.
      notes: sentences about what differs or could not be evaluated.
      gate: the requirements.
    """

    models: dict[str, Source]
    checks: list[Check]
    notes: list[str]
    gate: Gate

    @property
    def is_first(self) -> bool:
        """There is no live model."""
        return LIVE not in self.models

    @property
    def verdict(self) -> str:
        """PROMOTED, or REFUSED if a check failed."""
        return REFUSED if any(check.passed is False for check in self.checks) else PROMOTED

    @property
    def default_path(self) -> Path:
        """File next to the candidate's folder."""
        folder = Path(self.models[CANDIDATE]["path"]).absolute()
        return folder.with_name(f"{folder.name}.promotion.json")

    def write(self, path: Path) -> None:
        """Write the JSON to a temporary name and rename it to ``path``."""
        write_text(path, json.dumps(self.to_json(), indent=2) + "\n")

    def to_json(self) -> dict[str, Any]:
        """Return the content of the verdict file."""
        return {"verdict": self.verdict, "first": self.is_first, "models": self.models,
                "checks": [check.to_json() for check in self.checks], "notes": self.notes,
                "gate": self.gate.model_dump(mode="json")}


def promote(candidate: Path, gate: Gate, live: Path | None, read: Reader = Predictions.open) -> Promotion:
    """Check a candidate against the gate.

    Args:
      candidate: a ranker artifact, or an exported version whose ranker is still in its place.
      gate: the requirements.
      live: the model in service, given like ``candidate``; None for the first promotion, whose non-inferiority cannot
        be checked.
      read: returns the predictions; by default the stored ones.

    Raises:
      UserError: a model cannot be opened or compared, or the gate names an unknown slice.
    """
    resampling = Resampling(gate.replicates, gate.confidence, gate.seed)
    opened = read(candidate, gate.split, gate.label)
    models, notes, paired = {CANDIDATE: opened.source}, undefined_notes(opened), None
    if live is not None:
        one, other, differences = align(opened, read(live, gate.split, gate.label))
        paired = compare_predictions({CANDIDATE: one, LIVE: other}, _slicings(one, gate), resampling)
        models[LIVE], notes = other.source, notes + differences
    # Thresholds apply to all impressions that the candidate scored, even if the live model did not score all of them.
    own = paired if paired and paired.parts[0].impressions == opened.table.num_rows else compare_predictions(
        {CANDIDATE: opened}, _slicings(opened, gate), resampling)
    notes += [f"{name} is a served version: evaluated by the predictions of the ranker that it was exported from"
              for name, source in models.items() if "version" in source]
    checks = [check for where, requirements in _requirements(gate)
              for check in _checks(where, requirements, own, paired)]
    return Promotion(models, checks, notes, gate)


def _requirements(gate: Gate) -> list[tuple[tuple[str, str], Requirements]]:
    """Return (slicing, part) and its requirements, those of all impressions first."""
    named = [((name.partition("=")[0], name.partition("=")[2]), requirements)
             for name, requirements in gate.slices.items()]
    return [((ALL, ALL), gate), *named]


def _slicings(predictions: Predictions, gate: Gate) -> list[Slicing]:
    """Return the slices that the gate names.

    Raises:
      UserError: there is no such slicing, or a built-in one has no such part.
    """
    required: dict[str, list[str]] = {}
    for (name, part), _ in _requirements(gate)[1:]:
        required.setdefault(name, []).append(part)
    slicings = []
    for name, parts in required.items():
        slicing = predictions.slicing(name)
        absent = [part for part in parts if part not in slicing.parts]
        if name in SLICINGS and absent:
            raise UserError(f"gate: there is no slice {name}={absent[0]}: choose from {list(slicing.parts)}")
        slicings.append(slicing.only(parts))
    return slicings


def _checks(where: tuple[str, str], requirements: Requirements, own: Comparison, paired: Comparison | None
            ) -> Iterator[Check]:
    """Yield the checks of one slice; ``own`` has all impressions of the candidate, ``paired`` the shared ones."""
    part = own.part(*where)
    name = ALL if where[0] == ALL else "=".join(where)
    impressions, required = own.parts[part].impressions, requirements.min_impressions
    yield Check(name, "impressions", "min_impressions", required, {"value": impressions}, impressions >= required)
    estimates = own.metrics(CANDIDATE, part)
    for metric, band in requirements.thresholds.items():
        if band.min is not None:
            yield _threshold(name, metric, "min", band.min, estimates[metric])
        if band.max is not None:
            yield _threshold(name, metric, "max", band.max, estimates[metric])
    for metric, margin in requirements.non_inferior.items():
        if paired is None:
            yield Check(name, metric, "non_inferior", margin, {"value": None}, None)
        else:
            yield _non_inferior(name, metric, margin, paired, paired.part(*where), required)


def _threshold(name: str, metric: str, kind: str, limit: float, estimate: Estimate) -> Check:
    value = estimate["value"]
    passed = value is not None and (value >= limit if kind == "min" else value <= limit)
    return Check(name, metric, kind, limit, estimate, passed)


def _non_inferior(name: str, metric: str, margin: float, paired: Comparison, part: int, min_impressions: int) -> Check:
    difference, shared = paired.difference(CANDIDATE, LIVE, part)[metric], paired.parts[part].impressions
    ends = [better(metric, end) for end in (difference["low"], difference["high"]) if end is not None]
    passed = bool(ends) and shared >= min_impressions and min(ends) >= -margin
    return Check(name, metric, "non_inferior", margin, {**difference, "shared_impressions": shared}, passed)
