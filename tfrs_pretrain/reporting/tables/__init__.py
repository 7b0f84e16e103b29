"""Tables of the report, built once for HTML and Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.reporting.tables import arms, checks, data, pretraining, training


def tables(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return name in the templates -> a table, a list of named tables, or None if there is no content."""
    return {
        "arms": arms.arms(results), "twins": arms.twins(results), "settings": arms.settings(results),
        "item_slices": arms.slices(results, "item_frequency"), "user_slices": arms.slices(results, "user_frequency"),
        "training": training.training(results), "trials": training.trials(results),
        "coverage": training.coverage(results),
        "stage_one": pretraining.stage_one(results), "stage_one_epochs": pretraining.stage_one_epochs(results),
        "embedding_tables": pretraining.embedding_tables(results), "purity": pretraining.purity(results),
        "calibration": checks.calibration(results), "diagnosis": checks.diagnosis(results),
        "signatures": checks.signatures(results), "logs": data.logs(results), "splits": data.splits(results),
        "features": data.features(results), "datasets": data.datasets(results),
    }
