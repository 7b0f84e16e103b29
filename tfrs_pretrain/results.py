"""The evidence of a finished run: ``results.json`` and ``report.html``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import DATASET_INFO, read_manifest, write_text
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import Comparison
from tfrs_pretrain.evaluation.evaluate import judged
from tfrs_pretrain.evaluation.predictions import Predictions, align
from tfrs_pretrain.reporting.arms import COMPARED, compared_pairs, read_arms
from tfrs_pretrain.reporting.report import write_report
from tfrs_pretrain.stages import DATASET, EMBEDDINGS, EXPORT, LOGS, RANKING, Workdir

FREQUENCY = "item_frequency"
# Enough for a plot and three digits; `tfrs-pretrain evaluate` draws more.
RESAMPLING = Resampling(replicates=400)


def write_results(workdir: Workdir) -> dict[str, Any]:
    """Writes ``results.json`` and ``report.html`` from the artifacts of a finished run, and returns the results.

    Raises:
      UserError: a stage of the run has not finished.
    """
    folder = workdir.folder
    embeddings = read_manifest(folder / EMBEDDINGS, "embeddings")
    rankers = {arm: read_manifest(folder / RANKING / arm, "ranker") for arm in workdir.config.ranking.arms}
    results = {
        "differences": _differences(workdir.config.resolved(), rankers, folder / RANKING),
        "resampling": {"unit": "user", "replicates": RESAMPLING.replicates, "confidence": RESAMPLING.confidence},
        "arms": {arm: {f"test_{name}": manifest["metrics"]["test"][name] for name in ("auc", "log_loss", "gauc")}
                 for arm, manifest in rankers.items()},
        "stage_one": {
            "heldout_loss": [epoch["heldout_loss"] for epoch in embeddings["epochs"] if epoch["epoch"] > 0],
            "heldout_loss_before_training": embeddings["epochs"][0]["heldout_loss"],
        },
        "seconds": _seconds(workdir, list(rankers)),
        "peak_rss_bytes": max(int(cost["peak_rss_bytes"]) for cost in workdir.costs.values()),
    }
    write_text(folder / "results.json", json.dumps(results, indent=2) + "\n")
    write_report(folder, logs=read_manifest(folder / LOGS, "logs"),
                 dataset_info=read_manifest(folder / DATASET, "dataset", name=DATASET_INFO),
                 embeddings_manifest=embeddings, ranker_manifests=rankers,
                 export_manifest=read_manifest(folder / EXPORT, "export"), results=results)
    return results


def _differences(config: dict[str, Any], rankers: dict[str, dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Paired differences on the test window, with intervals by user, of the arms that the report compares."""
    pairs = compared_pairs(read_arms(config, rankers))
    if not pairs:
        return []
    opened = {arm: Predictions.open(folder / arm) for arm in rankers}
    first = next(iter(opened.values()))
    cuts = [first.slicing(FREQUENCY)] if FREQUENCY in first.slicings else []
    found = judged({arm: align(first, one)[1] for arm, one in opened.items()}, cuts, RESAMPLING)
    return [_described(found, arm.name, against.name) for arm, against in pairs]


def _described(found: Comparison, arm: str, against: str) -> dict[str, Any]:
    whole, *parts = (found.difference(arm, against, place) for place in range(len(found.parts)))
    slices = [{"slice": part.name, "auc": metrics["auc"]} for part, metrics in zip(found.parts[1:], parts, strict=True)]
    return {"arm": arm, "against": against, **{name: whole[name] for name in COMPARED}, "slices": slices}


def _seconds(workdir: Workdir, arms: list[str]) -> dict[str, float]:
    """Wall-clock seconds by stage; ``total`` sums the stages (all but start-up and writing the report)."""
    seconds = {
        "data": workdir.seconds("logs", "dataset"),
        "stage_one": workdir.seconds("pretrain"),
        "stage_two": workdir.seconds(*(f"rank.{arm}" for arm in arms)),
        "export": workdir.seconds("export"),
    }
    return seconds | {"total": sum(seconds.values())}
