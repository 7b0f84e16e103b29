"""Figures of the report, one per file. The page sets the colours that depend on its light or dark scheme."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.reporting.figures.calibration import calibration
from tfrs_pretrain.reporting.figures.cost import seconds
from tfrs_pretrain.reporting.figures.diagnosis import loss_across_border
from tfrs_pretrain.reporting.figures.differences import differences
from tfrs_pretrain.reporting.figures.embedding_map import embedding_maps
from tfrs_pretrain.reporting.figures.frequency import difference_by_frequency
from tfrs_pretrain.reporting.figures.one_epoch import one_epoch
from tfrs_pretrain.reporting.figures.stage_one import heldout_loss, recall


def figures(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return name in the page -> height and content of each figure that has data."""
    candidates = {
        "auc_differences": differences(results, "auc"), "log_loss_differences": differences(results, "log_loss"),
        "one_epoch": one_epoch(results, "log_loss"), "one_epoch_auc": one_epoch(results, "auc"),
        "item_frequency": difference_by_frequency(results, "item_frequency"),
        "user_frequency": difference_by_frequency(results, "user_frequency"),
        "calibration": calibration(results), "heldout_loss": heldout_loss(results), "recall": recall(results),
        **embedding_maps(results), "diagnosis": loss_across_border(results), "seconds": seconds(results),
    }
    return {name: {"height": figure.layout.height, "content": json.loads(figure.to_json())}
            for name, figure in candidates.items() if figure is not None}
