"""One HTML page with the evidence of a run. It holds everything it needs and loads nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import plotly.graph_objects as go
import yaml
from plotly.offline import get_plotlyjs

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.reporting import facts, figures, findings
from tfrs_pretrain.reporting.arms import Arm, Difference, difference, read_arms, slice_rows
from tfrs_pretrain.reporting.formats import FILTERS, duration, number, signed, size, words

REPORT = "report.html"


def write_report(workdir: Path, *, logs: Mapping[str, Any], dataset_info: Mapping[str, Any],
                 embeddings_manifest: Mapping[str, Any], ranker_manifests: Mapping[str, Mapping[str, Any]],
                 export_manifest: Mapping[str, Any], results: Mapping[str, Any]) -> Path:
    """Writes ``workdir/report.html`` by temporary name and rename, and returns its path.

    Args:
      workdir: folder of the run.
      logs: manifest of the raw logs; its ``exposures``, if any, says how impressions were derived.
      dataset_info: dataset_info.json; its configuration is the run's.
      embeddings_manifest: Stage I.
      ranker_manifests: arm -> Stage II.
      export_manifest: the served version, with its ``path``.
      results: ``seconds`` by stage, ``peak_rss_bytes`` and the paired ``differences`` of ``arms.compared_pairs``.
    """
    arms = read_arms(dataset_info["config"], {name: dict(manifest) for name, manifest in ranker_manifests.items()})
    page = _environment().get_template("report.html.j2").render(
        **_evidence(arms, embeddings_manifest["epochs"], results), **_data(logs, dataset_info, embeddings_manifest),
        export=export_manifest, serving_commands=facts.serving_commands(export_manifest),
        commands=facts.commands(workdir, dataset_info["config"]),
        # Trusted text of an installed package: escaping would break it.
        plotly_js=markupsafe.Markup(get_plotlyjs()))
    write_text(workdir / REPORT, page)
    return workdir / REPORT


def _evidence(arms: list[Arm], epochs: list[dict[str, Any]], results: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured, for the template."""
    baseline, judged = arms[0], _judged(arms)
    differences = {arm.name: difference(results, arm, baseline) for arm in arms[1:]}
    slices = slice_rows(arms, results)
    stage_one = findings.stage_one(epochs)
    return {
        "arms": arms, "differences": differences, "slices": slices, "results": results,
        "headline": _headline(judged, baseline, differences),
        "findings": [*(findings.sentence(arm, baseline, differences[arm.name]) for arm in arms[1:]),
                     *findings.distillation(arms, results), stage_one],
        "stage_one_finding": stage_one, "frequency_finding": findings.by_frequency(slices, judged, baseline),
        "tiles": _tiles(judged, differences.get(judged.name), epochs, results),
        "colours": figures.arm_colours(arms), "figures": _figures(arms, differences, slices, epochs, results),
        "coverage": facts.coverage_rows(_coverage(arms)),
    }


def _data(logs: Mapping[str, Any], info: Mapping[str, Any], embeddings: Mapping[str, Any]) -> dict[str, Any]:
    """What it was measured on, for the template."""
    config, timeline = info["config"], facts.timeline(info["config"]["windows"])
    return {
        "config": config, "config_yaml": yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
        "exposures": logs.get("exposures"), "embeddings": embeddings, "timeline": timeline,
        "windows": {entry["name"]: entry["text"] for entry in timeline},
        "log_rows": facts.log_rows(info), "split_rows": facts.split_rows(info),
        "tables": facts.table_rows(info, embeddings),
        "vocabulary_rows": {name: entry["rows"] for name, entry in info["vocabularies"].items()},
        "heldout_pairs": info["splits"]["pairs/heldout"]["examples"],
        "label_rate": info["splits"]["impressions/test"].get("label_rate"),
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(loader=jinja2.PackageLoader("tfrs_pretrain", "reporting"), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(FILTERS)
    return environment


def _judged(arms: list[Arm]) -> Arm:
    """The arm that the headline is about: the one served, or, if that is the baseline, the last other one."""
    served = next((arm for arm in arms if arm.exported), arms[-1])
    return arms[-1] if served is arms[0] else served


def _headline(arm: Arm, baseline: Arm, differences: Mapping[str, Difference]) -> str:
    if arm is baseline:
        return f"One arm, {words(arm.name)}: test AUC {number(arm.test['auc'])}, nothing to compare it with"
    return findings.headline(arm, baseline, differences[arm.name])


def _tiles(arm: Arm, change: Difference | None, epochs: list[dict[str, Any]],
           results: Mapping[str, Any]) -> list[dict[str, str]]:
    def note(value: float | None) -> str:
        return words(arm.name) if change is None else f"{signed(value)} to the baseline"

    return [
        {"name": "test AUC", "value": number(arm.test["auc"]), "note": note(change.auc.value if change else None)},
        {"name": "test log loss", "value": number(arm.test["log_loss"]),
         "note": note(change.log_loss.value if change else None)},
        {"name": "Stage I held-out loss", "value": number(epochs[-1]["heldout_loss"], 3),
         "note": f"from {number(epochs[0]['heldout_loss'], 3)} before training"},
        {"name": "whole run", "value": duration(results["seconds"]["total"]),
         "note": f"peak memory {size(results['peak_rss_bytes'])}"},
    ]


def _figures(arms: list[Arm], differences: Mapping[str, Difference], slices: list[dict[str, Any]],
             epochs: list[dict[str, Any]], results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name in the template -> height and content of each plot that there is something to show in."""
    stages = {name: value for name, value in results["seconds"].items() if name != "total"}
    drawn: dict[str, go.Figure] = {"heldout_loss": figures.heldout_loss(epochs), "seconds": figures.seconds(stages)}
    if any(key.startswith("recall@") for epoch in epochs for key in epoch):
        drawn["recall"] = figures.recall(epochs)
    if any(change.auc.value is not None for change in differences.values()):
        drawn["auc_differences"] = figures.auc_differences(differences, arms)
    if any(value is not None for row in slices for value in row["auc"].values()):
        drawn["auc_by_frequency"] = figures.auc_by_frequency(slices, arms)
    if max(len(arm.manifest["epochs"]) for arm in arms) > 1:
        drawn["validation_auc"] = figures.validation_by_epoch(arms, "auc", "validation AUC")
        drawn["validation_log_loss"] = figures.validation_by_epoch(arms, "log_loss", "validation log loss (nats)")
    return {name: {"height": figure.layout.height, "content": json.loads(figure.to_json())}
            for name, figure in drawn.items()}


def _coverage(arms: list[Arm]) -> dict[str, dict[str, float | None]]:
    """Shares of pretrained rows by split: the same for every arm that starts from them."""
    return next((dict(arm.manifest["coverage"]) for arm in arms if arm.manifest.get("coverage")), {})
