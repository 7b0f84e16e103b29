"""Metrics of the predictions for one split, as recorded in the ranker's manifest."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.evaluation.predictions import impression_weights, user_numbers
from tfrs_pretrain.evaluation.slices import FREQUENCY_STARTS, frequency_slices
from tfrs_pretrain.metrics.ranking import ranking_metrics
from tfrs_pretrain.ranking.model.ranker import SCORE
from tfrs_pretrain.schema import ITEM_ROW, LABEL, REQUEST, USER_ID, WEIGHT


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
    """Compute the metrics of a table from ``predict``; impressions without a label do not count for it."""
    main = _labelled(predictions, "")
    metrics: dict[str, Any] = ranking_metrics(*main.columns)
    further = [name.removeprefix(SCORE) for name in predictions.column_names if name.startswith(f"{SCORE}_")]
    if further:
        metrics["labels"] = {suffix[1:]: ranking_metrics(*_labelled(predictions, suffix).columns)
                             for suffix in further}
    counts = dataset.vocabulary(ITEM_ROW).row_counts[main.items]
    labels, scores, users, requests, weights = main.columns
    return SplitMetrics(metrics, frequency_slices(labels, scores, users, counts, FREQUENCY_STARTS, requests, weights))


class _Labelled(NamedTuple):
    """The impressions that have a label: ``columns`` for ``ranking_metrics``, and rows of the item table."""

    columns: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]
    items: np.ndarray


def _labelled(predictions: pa.Table, suffix: str) -> _Labelled:
    """Select the impressions with a label of one head, whose columns end in ``suffix``."""
    names = [LABEL + suffix, SCORE + suffix, USER_ID, ITEM_ROW, REQUEST, WEIGHT]
    predictions = predictions.select([name for name in names if name in predictions.column_names])
    missing = np.isnan(predictions[LABEL + suffix].to_numpy())
    if missing.any():
        predictions = predictions.filter(pa.array(~missing))
    requests = predictions[REQUEST].to_numpy() if REQUEST in predictions.column_names else None
    labels, scores = (predictions[name + suffix].to_numpy() for name in (LABEL, SCORE))
    columns = (labels, scores, user_numbers(predictions[USER_ID]), requests, impression_weights(predictions))
    return _Labelled(columns, predictions[ITEM_ROW].to_numpy())
