"""Metrics of the predictions for one split, as recorded in the ranker's manifest."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd
import pyarrow as pa

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.evaluation.slices import FREQUENCY_STARTS, frequency_slices
from tfrs_pretrain.metrics.ranking import ranking_metrics
from tfrs_pretrain.ranking.model.ranker import SCORE
from tfrs_pretrain.schema import ITEM_ROW, LABEL, REQUEST, USER_ID


@dataclasses.dataclass(frozen=True)
class SplitMetrics:
    """Metrics of one split.

    Attributes:
      metrics: ``ranking_metrics`` of the main label; ``labels`` has those of further heads by name, if there are any.
      slices: ``frequency_slices`` of the main label by the item's count in the pretraining window.
    """

    metrics: dict[str, Any]
    slices: list[dict[str, Any]]


def split_metrics(predictions: pa.Table, dataset: Dataset) -> SplitMetrics:
    """Compute the metrics of a table from ``predict``."""
    labels, scores, items = (predictions[name].to_numpy() for name in (LABEL, SCORE, ITEM_ROW))
    users = pd.factorize(predictions[USER_ID].to_numpy())[0]
    requests = predictions[REQUEST].to_numpy() if REQUEST in predictions.column_names else None
    counts = dataset.vocabulary(ITEM_ROW).row_counts[items]
    metrics: dict[str, Any] = ranking_metrics(labels, scores, users, requests)
    further = [name.removeprefix(f"{SCORE}_") for name in predictions.column_names if name.startswith(f"{SCORE}_")]
    if further:
        metrics["labels"] = {name: ranking_metrics(
            predictions[f"{LABEL}_{name}"].to_numpy(), predictions[f"{SCORE}_{name}"].to_numpy(), users, requests)
            for name in further}
    return SplitMetrics(metrics, frequency_slices(labels, scores, users, counts, FREQUENCY_STARTS, requests))
