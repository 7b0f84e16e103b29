"""The report's tables, once for both HTML and Markdown: their cells are the same texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.reporting.tables import arms, checks, data, pretraining


def tables(results: Mapping[str, Any]) -> dict[str, Any]:
    """Name in the templates -> table, list of named tables, or None where there is nothing to show."""
    return {
        "arms": arms.arms(results), "twins": arms.twins(results), "settings": arms.settings(results),
        "training": arms.training(results), "trials": arms.trials(results),
        "item_slices": arms.slices(results, "item_frequency"), "user_slices": arms.slices(results, "user_frequency"),
        "stage_one": pretraining.stage_one(results), "stage_one_epochs": pretraining.stage_one_epochs(results),
        "embedding_tables": pretraining.embedding_tables(results), "coverage": pretraining.coverage(results),
        "purity": pretraining.purity(results), "calibration": checks.calibration(results),
        "diagnosis": checks.diagnosis(results), "signatures": checks.signatures(results), "logs": data.logs(results),
        "splits": data.splits(results), "features": data.features(results), "datasets": data.datasets(results),
    }
