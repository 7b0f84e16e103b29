"""The headline numbers of the page: test metrics, Stage I's held-out loss, and cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.reporting.text.differences import find_comparison
from tfrs_pretrain.reporting.text.formats import duration, metric_name, number, signed, size, spaced


def tiles(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return three or four numbers, each with ``name``, ``value`` and ``note``."""
    return [*(_test_metric(results, metric) for metric in ("auc", "log_loss")), *_stage_one(results["stage_one"]),
            {"name": "whole run", "value": duration(results["seconds"]["total"]),
             "note": f"peak memory {size(results['peak_rss_bytes'])}"}]


def _test_metric(results: Mapping[str, Any], metric: str) -> dict[str, str]:
    arm, baseline = results["headline"], results["baseline"]
    comparison = find_comparison(results, arm, baseline)
    note = f"{signed(comparison[metric]['value'])} to {spaced(baseline)}" if comparison else spaced(arm)
    return {"name": f"test {metric_name(metric)}", "value": number(results["arms"][arm][f"test_{metric}"]),
            "note": note}


def _stage_one(stage_one: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return no tile if Stage I is absent or was not trained."""
    losses = stage_one.get("heldout_loss")
    if not losses:
        return []
    before = number(stage_one["heldout_loss_before_training"], 3)
    return [{"name": "Stage I held-out loss", "value": number(losses[-1], 3), "note": f"from {before} before training"}]
