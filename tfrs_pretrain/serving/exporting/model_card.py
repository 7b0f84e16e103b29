"""The model card of an exported version, for people (Markdown) and for programs (JSON).

After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019, arXiv 1810.03993), with what is known here.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import ScoredImpressions, compare
from tfrs_pretrain.evaluation.predictions import SLICINGS, Predictions

CARD_JSON, CARD_MARKDOWN = "model_card.json", "model_card.md"
# Enough for an interval that is read, not tested; `tfrs-pretrain evaluate` draws more.
RESAMPLING = Resampling(replicates=100)
SHOWN = {"auc": "AUC", "log_loss": "log loss", "gauc": "GAUC", "calibration": "calibration"}
INTENDED_USE = (
    "Orders the items that a candidate generator offers one user, by the probability of an engagement. It answers for "
    "the users, items and surfaces of the log that it was trained on.")
DEFAULT_LIMITS = (
    "Unknown ids share rows by hash, unknown values of a feature too: their scores know only the other inputs.",
    "It learnt from impressions that an earlier system chose to show; what that system never showed it cannot judge.",
    "The metrics describe the window that they name. Behaviour drifts; judge it again on newer impressions.",
    "The intervals hold the variation between samples of users, not that between training seeds, and not drift.",
    "A slice's metrics rank inside the slice alone, so slices do not average to the whole.",
    "No part of the log was checked for fairness between groups of people; slice by the features that say so first.",
)


def model_card(manifest: dict[str, Any], ranker: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The card as JSON.

    Args:
      manifest: of the export.
      ranker: manifest of the ranker.
      folder: of the ranker, whose stored predictions are judged: of the test impressions, or validation where there
        are none.
    """
    split = "test" if "test" in ranker["metrics"] else "validation"
    return {
        "name": manifest["name"], "arm": manifest["arm"], "code_version": ranker["code_version"],
        "intended_use": INTENDED_USE, "limits": list(DEFAULT_LIMITS), "windows": manifest["windows"],
        "inputs": manifest["inputs"], "labels": manifest["classes"], "transfer": ranker["transfer"],
        "judged": {"split": split, "rows": "as trained, before any quantization of tables", "unit": "user",
                   "replicates": RESAMPLING.replicates, "confidence": RESAMPLING.confidence,
                   "labels": {name: _judged(folder, split, name) for name in manifest["outputs"].values()}},
        "tables": manifest["tables"], "table_cost": manifest["table_cost"], "memory": manifest["memory"],
        "check": manifest["check"], "bytes": manifest["bytes"],
        **{name: manifest[name] for name in ("ranker_digest", "dataset_digest", "vocabularies")},
    }


def _judged(folder: Path, split: str, label: str) -> list[dict[str, Any]]:
    """The whole, then the slices: how many impressions, and metrics with intervals."""
    opened = Predictions.open(folder, split, label)
    cuts = [opened.slicing(name) for name in SLICINGS if name in opened.slicings]
    scored = ScoredImpressions(opened.labels, opened.users, opened.requests, {label: opened.scores})
    return [{**dataclasses.asdict(result.part), "metrics": result.models[label]}
            for result in compare(scored, cuts, RESAMPLING).part_results()]


def write_card(folder: Path, card: dict[str, Any], version: int) -> None:
    """Writes both forms."""
    card = card | {"version": version}
    write_text(folder / CARD_JSON, json.dumps(card, indent=2) + "\n")
    write_text(folder / CARD_MARKDOWN, as_markdown(card))


def as_markdown(card: dict[str, Any]) -> str:
    """The card as a page."""
    judged = card["judged"]
    lines = [f"# {card['name']}, version {card['version']}", "", card["intended_use"], "",
             f"Arm `{card['arm']}`, transfer {json.dumps(card['transfer'])}. Probability of: "
             f"{', '.join(f'`{label}`' for label in card['labels'])}.", "", "## Data", "",
             "| window | start | end (exclusive) |", "|---|---|---|"]
    lines += [f"| {name} | {window['start']} | {window['end']} |" for name, window in card["windows"].items()
              if isinstance(window, dict)]
    for label, parts in judged["labels"].items():
        lines += ["", f"## {label}, {judged['split']} impressions", "",
                  f"{judged['confidence']:.0%} intervals by {judged['unit']}, {judged['replicates']} replicates; rows "
                  f"{judged['rows']}.", "", f"| slice | impressions | {' | '.join(SHOWN.values())} |",
                  "|---|---" + "|---" * len(SHOWN) + "|"]
        lines += [f"| {_slice(part)} | {part['impressions']:,} | "
                  + " | ".join(_metric(part["metrics"].get(name)) for name in SHOWN) + " |" for part in parts]
    lines += ["", "## Tables", "", "| table | rows | columns | type | MB |", "|---|---|---|---|---|"]
    lines += [f"| {name} | {table['rows']:,} | {table['dim']} | {table['dtype']} | {table['bytes'] / 1e6:.2f} |"
              for name, table in card["tables"].items()]
    lines += ["", *check_lines(card), "", "## Limits", "", *(f"- {limit}" for limit in card["limits"]), ""]
    return "\n".join(lines)


def check_lines(manifest: dict[str, Any]) -> list[str]:
    """What was checked, in sentences; of a card or of an export's manifest."""
    check, memory, cost = manifest["check"], manifest["memory"], manifest["table_cost"]
    requests = sum(of["requests"] for of in check["signatures"].values())
    lines = [f"Checked in the session loader: {requests} golden requests to {len(check['signatures'])} signatures "
             f"({', '.join(check['signatures'])}); largest difference to the trained model "
             f"{check['largest_difference']:.1e}, allowed {check['tolerance']:g}."]
    lines.append("Rows are served as they were trained." if cost is None else
                 f"Rows are served narrower than trained: AUC {cost['auc']['cost']:+.6f}, log loss "
                 f"{cost['log_loss']['cost']:+.6f}, largest difference of a score {cost['largest_difference']:.1e}, on "
                 f"{cost['impressions']:,} {cost['split']} impressions.")
    budget = "no budget set" if memory["budget_bytes"] is None else f"budget {memory['budget_bytes'] / 1e6:,.1f} MB"
    lines.append(f"Size: {manifest['bytes'] / 1e6:,.1f} MB on disk; memory: {memory['version_bytes'] / 1e6:,.1f} MB a "
                 f"version, {memory['reload_bytes'] / 1e6:,.1f} MB during a hot reload ({budget}).")
    return lines


def _slice(part: dict[str, Any]) -> str:
    return "all" if part["slicing"] == part["name"] else f"{part['slicing']} {part['name']}"


def _metric(found: dict[str, float | None] | None) -> str:
    if not found or found["value"] is None:
        return "-"
    interval = "" if found["low"] is None else f" [{found['low']:.4f}, {found['high']:.4f}]"
    return f"{found['value']:.4f}{interval}"
