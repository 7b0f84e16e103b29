"""Prediction of a whole split, with the columns that evaluation needs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.evaluation.predictions import FEATURE, ITEM_COUNT, USER_COUNT
from tfrs_pretrain.mapped_tables import mapped_table
from tfrs_pretrain.progress import Meter
from tfrs_pretrain.ranking.extreme_values import check_scores
from tfrs_pretrain.ranking.model.ranker import Ranker, score_names
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, KEY, LABEL, REQUEST, USER_ID, USER_ROW, WEIGHT
from tfrs_pretrain.value_types import MISSING

BATCH_SIZE = 8192
COPIED = (KEY, USER_ID, ITEM_ID, USER_ROW, ITEM_ROW, LABEL)
UNKNOWN, MISSING_VALUE = "(unknown)", "(missing)"


def predict(ranker: Ranker, dataset: Dataset, split: str, *, meter: Meter | None = None) -> pa.Table:
    """Score the impressions of a split.

    Memory: one batch. The table is mapped from a temporary file, see ``mapped_table``.

    Args:
      ranker: the model.
      dataset: its impressions.
      split: such as "impressions/test".
      meter: advanced by the scored impressions.

    Returns:
      the columns that ``evaluation.predictions`` describes, in the order of the files.

    Raises:
      UserError: a score is not finite.
    """
    return mapped_table(prediction_batches(ranker, dataset, split, meter=meter))


def prediction_batches(ranker: Ranker, dataset: Dataset, split: str, *, meter: Meter | None = None
                       ) -> Iterator[pa.RecordBatch]:
    """Score the impressions of a split, and yield the predictions batch by batch; arguments as for ``predict``."""
    context = _Context(dataset)
    for batch in evaluation_batches(dataset, split, batch_size=BATCH_SIZE):
        copied = {name: batch[name] for name in (*COPIED, *context.copied)}
        scored = ranker.score(batch)
        check_scores(ranker, batch, scored, split)
        scores = dict(zip(score_names(ranker.labels), tf.unstack(scored, axis=1), strict=True))
        labels = {f"{LABEL}_{name}": batch[name] for name in ranker.labels[1:]}
        columns = {name: _arrow(values.numpy()) for name, values in (copied | scores | labels).items()}
        yield pa.record_batch(columns | context.columns(batch))
        if meter:
            meter.advance(len(batch[KEY]))


class _Context:
    """Columns to slice by: counts of the ids in the pretraining window, and values of categorical features."""

    def __init__(self, dataset: Dataset):
        schema = dataset.schema
        self.copied = ((REQUEST,) if schema.request else ()) + ((WEIGHT,) if schema.has_weights else ())
        self._counts = {ITEM_COUNT: (ITEM_ROW, dataset.vocabulary(ITEM_ROW).row_counts),
                        USER_COUNT: (USER_ROW, dataset.vocabulary(USER_ROW).row_counts)}
        self._features = {feature.name: _names(dataset, feature.name)
                          for feature in dataset.schema.features if feature.record_column.is_category}

    def columns(self, batch: dict[str, tf.Tensor]) -> dict[str, pa.Array]:
        """Return ``user_count``, ``item_count`` and ``feature.<name>`` of a batch."""
        counts = {name: pa.array(known[batch[row].numpy()]) for name, (row, known) in self._counts.items()}
        features = {}
        for name, (shared, names) in self._features.items():
            codes = np.maximum(batch[name].numpy() - shared + 1, 0).astype(np.int32)
            features[FEATURE + name] = pa.DictionaryArray.from_arrays(pa.array(codes), names)
        return counts | features


def _names(dataset: Dataset, feature: str) -> tuple[int, pa.Array]:
    """Return the number of shared rows of a feature's table, and the text for them and for each row after them."""
    vocabulary = dataset.vocabulary(feature)
    missing = str(MISSING[vocabulary.dtype])
    known = [UNKNOWN if value is None else MISSING_VALUE if str(value) == missing else str(value)
             for value in vocabulary.ids.to_pylist()]
    return vocabulary.oov_rows, pa.array([UNKNOWN, *known])


def _arrow(values: np.ndarray) -> pa.Array:
    # TensorFlow returns strings as Python bytes.
    return pa.array(values, pa.binary()).cast(pa.string()) if values.dtype == object else pa.array(values)
