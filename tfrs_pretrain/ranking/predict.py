"""Scores of a whole split, beside what it takes to judge them."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.evaluation.slices import frequency_slices
from tfrs_pretrain.metrics.ranking import ranking_metrics
from tfrs_pretrain.progress import Meter
from tfrs_pretrain.ranking.ranker import SCORE, Ranker, score_names
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, KEY, LABEL, USER_ID, USER_ROW

BATCH_SIZE = 8192
KEPT = (KEY, USER_ID, ITEM_ID, USER_ROW, ITEM_ROW, LABEL)


def predict(ranker: Ranker, dataset: Dataset, split: str, *, meter: Meter | None = None) -> pa.Table:
    """Columns key, user_id, item_id, user, item (rows), label and score (probability), in the order of the files.

    Further heads add ``label_<name>`` and ``score_<name>``. Only these columns are held in memory at once.
    """
    columns: dict[str, list[np.ndarray]] = collections.defaultdict(list)
    for batch in evaluation_batches(dataset, split, batch_size=BATCH_SIZE):
        kept = {name: batch[name] for name in KEPT}
        scores = dict(zip(score_names(ranker.labels), tf.unstack(ranker.score(batch), axis=1), strict=True))
        labels = {f"{LABEL}_{name}": batch[name] for name in ranker.labels[1:]}
        for name, values in (kept | scores | labels).items():
            columns[name].append(values.numpy())
        if meter:
            meter.advance(len(batch[KEY]))
    return pa.table({name: _arrow(parts) for name, parts in columns.items()})


def judge(predictions: pa.Table, dataset: Dataset) -> dict[str, Any]:
    """``metrics`` over all predictions and ``slices`` by the item's count in the pretraining window."""
    labels, scores, rows = (predictions[name].to_numpy() for name in (LABEL, SCORE, ITEM_ROW))
    users = pd.factorize(predictions[USER_ID].to_numpy())[0]
    counts = dataset.vocabulary(ITEM_ROW).row_counts[rows]
    return {"metrics": ranking_metrics(labels, scores, users),
            "slices": frequency_slices(labels, scores, users, counts)}


def _arrow(parts: list[np.ndarray]) -> pa.Array:
    values = np.concatenate(parts)
    # TensorFlow hands strings over as Python bytes.
    return pa.array(values, pa.binary()).cast(pa.string()) if values.dtype == object else pa.array(values)
