"""Quantization of a ranker's tables, and its cost on held-out impressions."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import checked_reading
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.metrics.auc import auc
from tfrs_pretrain.metrics.log_loss import log_loss
from tfrs_pretrain.ranking.model.ranker import SCORE, Ranker, build_ranker, score_names
from tfrs_pretrain.ranking.predict import predict
from tfrs_pretrain.schema import LABEL, WEIGHT
from tfrs_pretrain.serving.exporting.golden_impressions import SPLIT
from tfrs_pretrain.serving.graph.served_tables import quantize_dequantize


@dataclasses.dataclass(frozen=True)
class MetricChange:
    """A metric of the main label with trained and with served tables; None: the metric is undefined."""

    trained: float | None
    served: float | None

    @property
    def cost(self) -> float | None:
        """Served minus trained."""
        return None if self.trained is None or self.served is None else self.served - self.trained

    def to_json(self) -> dict[str, float | None]:
        """Returns JSON."""
        return {"trained": self.trained, "served": self.served, "cost": self.cost}


@dataclasses.dataclass(frozen=True)
class QuantizationCost:
    """Cost of quantized tables on held-out impressions.

    Attributes:
      split: "validation".
      impressions: number of impressions.
      largest_difference: largest absolute difference of any score.
      auc: AUC of the main label.
      log_loss: log loss of the main label.
    """

    split: str
    impressions: int
    largest_difference: float
    auc: MetricChange
    log_loss: MetricChange

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> QuantizationCost:
        """Reads what ``to_json`` returned."""
        metrics = {name: MetricChange(content[name]["trained"], content[name]["served"])
                   for name in ("auc", "log_loss")}
        return cls(**content | metrics)

    def to_json(self) -> dict[str, Any]:
        """Returns JSON."""
        return dataclasses.asdict(self) | {"auc": self.auc.to_json(), "log_loss": self.log_loss.to_json()}

    def sentence(self) -> str:
        """Describes the cost in words."""
        changes = ", ".join(f"{name} {'undefined' if change.cost is None else f'{change.cost:+.6f}'}"
                            for name, change in (("AUC", self.auc), ("log loss", self.log_loss)))
        return (f"Tables are quantized: {changes}, largest difference of a score {self.largest_difference:.1e}, on "
                f"{self.impressions:,} {self.split} impressions.")


def quantized(ranker: Ranker, dtype: str) -> Ranker:
    """Returns the ranker with its tables quantized to a dtype and converted back to float32."""
    tables = {name: quantize_dequantize(table.numpy(), dtype) for name, table in ranker.tables.items()}
    return build_ranker(ranker.inputs, tables, ranker.network, labels=ranker.labels,
                        cold_rules=ranker.cold_rows.numpy() if ranker.cold_rows is not None else None)


def quantization_cost(trained: Ranker, served: Ranker, dataset: Dataset, tolerance: float) -> QuantizationCost:
    """Compares the scores of two rankers on the validation impressions.

    Args:
      trained: ranker with the trained tables.
      served: ranker with quantized tables.
      dataset: dataset of the ranker.
      tolerance: max absolute difference of any score.

    Raises:
      UserError: a score differs by more than the tolerance.
    """
    with checked_reading(dataset, SPLIT):
        before, after = (predict(ranker, dataset, SPLIT) for ranker in (trained, served))
    largest = max(float(np.abs(before[name].to_numpy() - after[name].to_numpy()).max(initial=0.0))
                  for name in score_names(trained.labels))
    if not largest <= tolerance:
        raise UserError(f"export.table_dtype changes a validation score by {largest:.4g}, export.table_tolerance "
                        f"allows {tolerance:g}, nothing was exported: choose a wider dtype, or raise the tolerance")
    return QuantizationCost(SPLIT.rpartition("/")[2], before.num_rows, largest,
                            MetricChange(*(auc(*_metric_columns(table)) for table in (before, after))),
                            MetricChange(*(log_loss(*_metric_columns(table)) for table in (before, after))))


def _metric_columns(predictions: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Returns labels, scores and, if impressions are weighted, weights of the impressions with a label."""
    labels, scores = predictions[LABEL].to_numpy(), predictions[SCORE].to_numpy()
    labelled = ~np.isnan(labels)
    weighted = WEIGHT in predictions.column_names
    weights = predictions[WEIGHT].to_numpy()[labelled].astype(np.float64) if weighted else None
    return labels[labelled], scores[labelled], weights
