"""What it costs to serve tables in a narrower type, measured on held-out impressions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import reading
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.metrics.auc import auc
from tfrs_pretrain.metrics.log_loss import log_loss
from tfrs_pretrain.ranking.model.ranker import SCORE, Ranker, build_ranker, score_names
from tfrs_pretrain.ranking.predict import predict
from tfrs_pretrain.schema import LABEL
from tfrs_pretrain.serving.exporting.golden_impressions import SPLIT
from tfrs_pretrain.serving.graph.served_tables import quantize_dequantize

METRICS = {"auc": auc, "log_loss": log_loss}


def quantized(ranker: Ranker, dtype: str) -> Ranker:
    """The ranker with the rows that tables of this dtype give."""
    rows = {name: quantize_dequantize(table.numpy(), dtype) for name, table in ranker.tables.items()}
    return build_ranker(ranker.inputs, rows, ranker.network, labels=ranker.labels)


def quantization_cost(trained: Ranker, served: Ranker, dataset: Dataset, tolerance: float) -> dict[str, Any]:
    """AUC and log loss of the main label with either's rows, and the largest difference of any score.

    Raises:
      UserError: it exceeds the tolerance.
    """
    with reading(dataset, SPLIT):
        before, after = (predict(ranker, dataset, SPLIT) for ranker in (trained, served))
    largest = max(float(np.abs(before[name].to_numpy() - after[name].to_numpy()).max(initial=0.0))
                  for name in score_names(trained.labels))
    if not largest <= tolerance:
        raise UserError(f"export.table_dtype moves a validation score by {largest:.4g}, export.table_tolerance allows "
                        f"{tolerance:g}, nothing was exported: choose a wider type, or raise the tolerance")
    judged = [{name: metric(table[LABEL].to_numpy(), table[SCORE].to_numpy()) for name, metric in METRICS.items()}
              for table in (before, after)]
    return {"split": SPLIT.rpartition("/")[2], "impressions": before.num_rows, "largest_difference": largest,
            **{name: _change(*(metrics[name] for metrics in judged)) for name in METRICS}}


def _change(trained: float | None, served: float | None) -> dict[str, float | None]:
    return {"trained": trained, "served": served,
            "cost": None if trained is None or served is None else served - trained}
