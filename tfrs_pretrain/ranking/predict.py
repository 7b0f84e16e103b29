"""Scores of a whole split, beside what it takes to judge them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.evaluation.predictions import FEATURE, ITEM_COUNT, USER_COUNT
from tfrs_pretrain.evaluation.slices import FREQUENCY_STARTS, frequency_slices
from tfrs_pretrain.metrics.ranking import ranking_metrics
from tfrs_pretrain.progress import Meter
from tfrs_pretrain.ranking.model.ranker import SCORE, Ranker, score_names
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, KEY, LABEL, REQUEST, USER_ID, USER_ROW
from tfrs_pretrain.value_types import MISSING

BATCH_SIZE = 8192
KEPT = (KEY, USER_ID, ITEM_ID, USER_ROW, ITEM_ROW, LABEL)
UNKNOWN, MISSING_VALUE = "(unknown)", "(missing)"


def predict(ranker: Ranker, dataset: Dataset, split: str, *, meter: Meter | None = None) -> pa.Table:
    """The columns of ``evaluation.predictions``, in the order of the files.

    Memory: these columns, as Arrow arrays, and one batch.
    """
    context, batches = _Context(dataset), []
    for batch in evaluation_batches(dataset, split, batch_size=BATCH_SIZE):
        kept = {name: batch[name] for name in (*KEPT, *context.plain)}
        scores = dict(zip(score_names(ranker.labels), tf.unstack(ranker.score(batch), axis=1), strict=True))
        labels = {f"{LABEL}_{name}": batch[name] for name in ranker.labels[1:]}
        columns = {name: _arrow(values.numpy()) for name, values in (kept | scores | labels).items()}
        batches.append(pa.record_batch(columns | context.of(batch)))
        if meter:
            meter.advance(len(batch[KEY]))
    return pa.Table.from_batches(batches)


def judge(predictions: pa.Table, dataset: Dataset) -> dict[str, Any]:
    """``metrics`` over all predictions and ``slices`` by the item's count in the pretraining window.

    Metrics of further heads, if any, are under ``metrics["labels"]`` by name.
    """
    labels, scores, rows = (predictions[name].to_numpy() for name in (LABEL, SCORE, ITEM_ROW))
    users = pd.factorize(predictions[USER_ID].to_numpy())[0]
    requests = predictions[REQUEST].to_numpy() if REQUEST in predictions.column_names else None
    counts = dataset.vocabulary(ITEM_ROW).row_counts[rows]
    metrics: dict[str, Any] = ranking_metrics(labels, scores, users, requests)
    further = [name.removeprefix(f"{SCORE}_") for name in predictions.column_names if name.startswith(f"{SCORE}_")]
    if further:
        metrics["labels"] = {name: ranking_metrics(
            predictions[f"{LABEL}_{name}"].to_numpy(), predictions[f"{SCORE}_{name}"].to_numpy(), users, requests)
            for name in further}
    return {"metrics": metrics,
            "slices": frequency_slices(labels, scores, users, counts, FREQUENCY_STARTS, requests)}


class _Context:
    """What impressions can be sliced by: how well their ids are known, and the values of categorical features."""

    def __init__(self, dataset: Dataset):
        self.plain = (REQUEST,) if dataset.schema.request else ()
        self._counts = {ITEM_COUNT: (ITEM_ROW, dataset.vocabulary(ITEM_ROW).row_counts),
                        USER_COUNT: (USER_ROW, dataset.vocabulary(USER_ROW).row_counts)}
        self._features = {feature.name: _names(dataset, feature.name)
                          for feature in dataset.schema.features if feature.record_column.is_category}

    def of(self, batch: dict[str, tf.Tensor]) -> dict[str, pa.Array]:
        counts = {name: pa.array(known[batch[row].numpy()]) for name, (row, known) in self._counts.items()}
        features = {}
        for name, (shared, names) in self._features.items():
            places = np.maximum(batch[name].numpy() - shared + 1, 0).astype(np.int32)
            features[FEATURE + name] = pa.DictionaryArray.from_arrays(pa.array(places), names)
        return counts | features


def _names(dataset: Dataset, feature: str) -> tuple[int, pa.Array]:
    """Shared rows of a feature's table, and as text what they, then each row after them, stand for."""
    vocabulary = dataset.vocabulary(feature)
    missing = str(MISSING[vocabulary.dtype])
    known = [MISSING_VALUE if str(value) == missing else str(value) for value in vocabulary.ids.to_pylist()]
    return vocabulary.oov_rows, pa.array([UNKNOWN, *known])


def _arrow(values: np.ndarray) -> pa.Array:
    # TensorFlow hands strings over as Python bytes.
    return pa.array(values, pa.binary()).cast(pa.string()) if values.dtype == object else pa.array(values)
