"""The gate between a candidate and the live model: named limits and non-inferiority, each with its numbers.

Non-inferiority: the interval of the paired difference to the live model, by user, must not reach further than a margin
to the worse side. With the two-sided 95 % interval this is a one-sided test at 2.5 %, as is usual for non-inferiority
(Piaggio et al., "Reporting of Noninferiority and Equivalence Randomized Trials", JAMA 308, 2012). Limits are compared
with the candidate's value itself; its interval is reported beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.config.gate import Gate, Requirements, better
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import ALL, Comparison
from tfrs_pretrain.evaluation.evaluate import judged, missing_context
from tfrs_pretrain.evaluation.predictions import SLICINGS, Predictions, Reader, align
from tfrs_pretrain.evaluation.slices import Slicing

PROMOTED, REFUSED = "promoted", "refused"
CANDIDATE, LIVE = "candidate", "live"

Check = dict[str, Any]


def promote(candidate: Path, gate: Gate, live: Path | None, read: Reader = Predictions.open) -> dict[str, Any]:
    """Judges a candidate.

    Args:
      candidate: a ranker artifact, or an exported version whose ranker still lies where it was.
      gate: what is asked of it.
      live: the same as ``candidate``; None: the first promotion, for which non-inferiority cannot be asked.
      read: where predictions come from; by default those that were stored.

    Returns:
      JSON: ``verdict``, the ``checks`` with their numbers, what was judged and what could not be.

    Raises:
      UserError: something cannot be opened or compared, or the gate names a slice that there is not.
    """
    resampling = Resampling(gate.replicates, gate.confidence, gate.seed)
    opened = read(candidate, gate.split, gate.label)
    models, notes, paired = {CANDIDATE: opened.source}, missing_context(opened), None
    if live is not None:
        one, other, differences = align(opened, read(live, gate.split, gate.label))
        paired = judged({CANDIDATE: one, LIVE: other}, _cuts(one, gate), resampling)
        models[LIVE], notes = other.source, notes + differences
    # Limits are of all that the candidate scored, also where the live model did not score all of it.
    own = paired if paired and paired.parts[0].impressions == opened.table.num_rows else judged(
        {CANDIDATE: opened}, _cuts(opened, gate), resampling)
    notes += [f"{name} is a served version: judged by the predictions of the ranker that it was exported from"
              for name, source in models.items() if "version" in source]
    checks = [check for where, asked in _asked(gate) for check in _checks(where, asked, own, paired)]
    refused = any(check["passed"] is False for check in checks)
    return {"verdict": REFUSED if refused else PROMOTED, "first": live is None, "models": models,
            "checks": checks, "notes": notes, "gate": gate.model_dump(mode="json")}


def verdict_path(verdict: dict[str, Any]) -> Path:
    """Where a verdict goes when nobody says otherwise: beside the candidate's folder."""
    folder = Path(verdict["models"][CANDIDATE]["path"]).absolute()
    return folder.with_name(f"{folder.name}.promotion.json")


def write_verdict(verdict: dict[str, Any], path: Path) -> None:
    """Writes the JSON by temporary name and rename."""
    write_text(path, json.dumps(verdict, indent=2) + "\n")


def _asked(gate: Gate) -> list[tuple[tuple[str, str], Requirements]]:
    """(slicing, part) and what is asked of it, the whole first."""
    named = [((name.partition("=")[0], name.partition("=")[2]), asked) for name, asked in gate.slices.items()]
    return [((ALL, ALL), gate), *named]


def _cuts(predictions: Predictions, gate: Gate) -> list[Slicing]:
    """The slices that the gate names, and no others.

    Raises:
      UserError: there is no such slicing, or it never has such a part.
    """
    parts: dict[str, list[str]] = {}
    for (slicing, part), _ in _asked(gate)[1:]:
        parts.setdefault(slicing, []).append(part)
    cuts = []
    for name, wanted in parts.items():
        cut = predictions.slicing(name)
        absent = [part for part in wanted if part not in cut.parts]
        if name in SLICINGS and absent:
            raise UserError(f"gate: there is no slice {name}={absent[0]}: choose from {list(cut.parts)}")
        cuts.append(cut.only(wanted))
    return cuts


def _checks(where: tuple[str, str], asked: Requirements, own: Comparison, paired: Comparison | None
            ) -> Iterator[Check]:
    part = own.part(*where)
    yield _check(where, "impressions", "min_impressions", asked.min_impressions,
                 {"value": own.parts[part].impressions}, own.parts[part].impressions >= asked.min_impressions)
    found = own.metrics(CANDIDATE, part)
    for metric, band in asked.thresholds.items():
        value = found[metric]["value"]
        for kind, limit in (("min", band.min), ("max", band.max)):
            if limit is not None:
                met = value is not None and (value >= limit if kind == "min" else value <= limit)
                yield _check(where, metric, kind, limit, found[metric], met)
    for metric, margin in asked.non_inferior.items():
        if paired is None:
            yield _check(where, metric, "non_inferior", margin, {"value": None}, None)
        else:
            yield _non_inferior(where, metric, margin, paired, asked.min_impressions)


def _non_inferior(where: tuple[str, str], metric: str, margin: float, paired: Comparison, least: int) -> Check:
    part = paired.part(*where)
    difference = paired.difference(CANDIDATE, LIVE, part)[metric]
    ends = [better(metric, end) for end in (difference["low"], difference["high"]) if end is not None]
    enough = paired.parts[part].impressions >= least
    numbers = difference | {"shared_impressions": paired.parts[part].impressions}
    return _check(where, metric, "non_inferior", margin, numbers, bool(ends) and enough and min(ends) >= -margin)


def _check(where: tuple[str, str], metric: str, kind: str, limit: float, numbers: dict[str, Any],
           passed: bool | None) -> Check:
    """``passed`` is None where it could not be judged because there is no live model."""
    return {"slice": ALL if where[0] == ALL else "=".join(where), "metric": metric, "kind": kind, "limit": limit,
            **numbers, "passed": passed}
