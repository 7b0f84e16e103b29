"""Model card of an exported version, as Markdown and JSON.

After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019, arXiv 1810.03993), limited to what an export knows.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import Estimate, ScoredImpressions, compare
from tfrs_pretrain.evaluation.predictions import SLICINGS, Predictions
from tfrs_pretrain.serving.exporting.report import ExportReport

CARD_JSON, CARD_MARKDOWN = "model_card.json", "model_card.md"
# Enough for intervals that are only read; `tfrs-pretrain evaluate`, for decisions, draws more.
RESAMPLING = Resampling(replicates=100)
SHOWN_METRICS = {"auc": "AUC", "log_loss": "log loss", "gauc": "GAUC", "calibration": "calibration"}
INTENDED_USE = (
    "Orders the items that a candidate generator offers one user, by the probability of an engagement. It is meant for "
    "the users, items and surfaces of the log on which it was trained.")
LIMITATIONS = (
    "Unknown ids, and unknown values of a feature, share rows by hash: their scores depend on the other inputs only.",
    "The model learnt from impressions that an earlier system chose; it cannot judge what that system never showed.",
    "The metrics describe the time window that they name. Behaviour drifts: evaluate the model on newer impressions.",
    "The intervals cover the variation between samples of users, not between training seeds, and not drift.",
    "A slice's metrics rank within the slice, so slices do not average to the whole.",
    "No part of the log was checked for fairness between groups of people: slice by the features that describe them.",
)


@dataclasses.dataclass(frozen=True)
class LabelMetrics:
    """Metrics of one label on all impressions or on a slice, by metric name, with the slice's size as JSON."""

    part: dict[str, Any]
    metrics: Mapping[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        """Returns JSON."""
        return self.part | {"metrics": dict(self.metrics)}


@dataclasses.dataclass(frozen=True)
class CardEvaluation:
    """Metrics of the trained ranker.

    Attributes:
      split: "test" or "validation".
      labels: label -> metrics on all impressions, then on each slice.
    """

    split: str
    labels: dict[str, list[LabelMetrics]]

    def to_json(self) -> dict[str, Any]:
        """Returns JSON, with how the metrics were obtained."""
        return {"split": self.split, "rows": "as trained, before any quantization of tables", "unit": "user",
                "replicates": RESAMPLING.replicates, "confidence": RESAMPLING.confidence,
                "labels": {label: [part.to_json() for part in parts] for label, parts in self.labels.items()}}


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """A model card.

    Attributes:
      report: report of the export.
      ranker: manifest of the ranker.
      evaluation: metrics of the ranker.
    """

    report: ExportReport
    ranker: dict[str, Any]
    evaluation: CardEvaluation

    def write(self, folder: Path, version: int) -> None:
        """Writes both forms of the card."""
        write_text(folder / CARD_JSON, json.dumps(self.to_json() | {"version": version}, indent=2) + "\n")
        write_text(folder / CARD_MARKDOWN, self.to_markdown(version))

    def to_json(self) -> dict[str, Any]:
        """Returns JSON."""
        exported = self.report.to_json()
        copied = ("tables", "table_cost", "memory", "check", "bytes", "ranker_digest", "dataset_digest", "vocabularies")
        return {
            "name": self.report.name, "arm": self.report.arm, "code_version": self.ranker["code_version"],
            "intended_use": INTENDED_USE, "limits": list(LIMITATIONS), "windows": self.report.windows,
            "inputs": exported["inputs"], "labels": exported["classes"], "transfer": self.ranker["transfer"],
            "judged": self.evaluation.to_json(), **{name: exported[name] for name in copied}}

    def to_markdown(self, version: int) -> str:
        """Returns the card as a Markdown page."""
        labels = ", ".join(f"`{label}`" for label in self.report.contents.classes)
        lines = [f"# {self.report.name}, version {version}", "", INTENDED_USE, "",
                 f"Arm `{self.report.arm}`, transfer {json.dumps(self.ranker['transfer'])}. Probability of: {labels}.",
                 "", "## Data", "", "| window | start | end (exclusive) |", "|---|---|---|"]
        lines += [f"| {name} | {window['start']} | {window['end']} |" for name, window in self.report.windows.items()
                  if isinstance(window, dict)]
        for label, parts in self.evaluation.labels.items():
            lines += ["", f"## {label}, {self.evaluation.split} impressions", "", *_metric_table(parts)]
        lines += ["", "## Tables", "", "| table | rows | columns | dtype | MB |", "|---|---|---|---|---|"]
        lines += [f"| {name} | {table['rows']:,} | {table['dim']} | {table['dtype']} | {table['bytes'] / 1e6:.2f} |"
                  for name, table in self.report.contents.tables.items()]
        lines += ["", *self.report.summary(), "", "## Limitations", "", *(f"- {each}" for each in LIMITATIONS), ""]
        return "\n".join(lines)


def evaluate_for_card(folder: Path, ranker: dict[str, Any], labels: Iterable[str]) -> CardEvaluation:
    """Evaluates a ranker's stored predictions: of the test impressions, or of validation if there are none.

    Args:
      folder: folder of the ranker.
      ranker: its manifest.
      labels: label columns.
    """
    split = "test" if "test" in ranker["metrics"] else "validation"
    return CardEvaluation(split, {label: _evaluate(folder, split, label) for label in labels})


def _evaluate(folder: Path, split: str, label: str) -> list[LabelMetrics]:
    predictions = Predictions.open(folder, split, label)
    slicings = [predictions.slicing(name) for name in SLICINGS if name in predictions.slicings]
    scored = ScoredImpressions(predictions.labels, predictions.users, predictions.requests,
                               {label: predictions.scores}, predictions.weights)
    return [LabelMetrics(dataclasses.asdict(result.part), result.models[label])
            for result in compare(scored, slicings, RESAMPLING).part_results()]


def _metric_table(parts: list[LabelMetrics]) -> list[str]:
    rows = [f"| {_slice_name(each.part)} | {each.part['impressions']:,} | "
            + " | ".join(_estimate(each.metrics.get(name)) for name in SHOWN_METRICS) + " |" for each in parts]
    return [f"{RESAMPLING.confidence:.0%} intervals by user, {RESAMPLING.replicates} replicates; tables as trained, "
            "before any quantization.", "", f"| slice | impressions | {' | '.join(SHOWN_METRICS.values())} |",
            "|---|---" + "|---" * len(SHOWN_METRICS) + "|", *rows]


def _slice_name(part: dict[str, Any]) -> str:
    return "all" if part["slicing"] == part["name"] else f"{part['slicing']} {part['name']}"


def _estimate(estimate: Estimate | None) -> str:
    if not estimate or estimate["value"] is None:
        return "-"
    interval = "" if estimate["low"] is None else f" [{estimate['low']:.4f}, {estimate['high']:.4f}]"
    return f"{estimate['value']:.4f}{interval}"
