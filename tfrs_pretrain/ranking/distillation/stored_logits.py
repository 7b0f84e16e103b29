"""A fixed teacher whose logits were precomputed and stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.distillation.fixed_teacher import FixedTeacher, logits_from_scores
from tfrs_pretrain.schema import KEY

TRAIN = "impressions/train"


class StoredLogits(FixedTeacher):
    """Logits from a Parquet file, in memory: 8 + 4 * heads bytes per impression.

    The file has an int64 column ``key`` and, for the main label, ``logit`` or ``score``; for a further label
    ``logit_<label>`` or ``score_<label>``. The predictions of a ranker artifact have this form.

    Args:
      path: of the file.
      dataset: every training impression of it must have a logit.
      labels: heads that need a logit, the main one first.

    Raises:
      UserError: the file cannot be read, lacks a column or an impression, or has contradictory or infinite values.
    """

    columns = (KEY,)

    def __init__(self, path: Path, dataset: Dataset, labels: Sequence[str]):
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"teacher {str(path)!r} cannot be read as Parquet ({' '.join(str(error).split())[:200]}): "
                            "write it again") from error
        suffixes = ["", *(f"_{label}" for label in labels[1:])]
        values = np.stack([_column(path, table, suffix) for suffix in suffixes], axis=1)
        keys = _int64_keys(path, table)
        order = np.argsort(keys)
        keys, values = keys[order], values[order]
        _check_values(path, keys, values)
        _check_complete(path, keys, dataset)
        with tf.device("CPU"):
            self._keys, self._values = tf.constant(keys), tf.constant(values, tf.float32)

    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.gather(self._values, tf.searchsorted(self._keys, batch[KEY]))


def _column(path: Path, table: pa.Table, suffix: str) -> np.ndarray:
    """Return float64 [n] logits of one head, whose columns end in ``suffix``."""
    for name in (f"logit{suffix}", f"score{suffix}"):
        if name in table.column_names:
            values: np.ndarray = table[name].cast(pa.float64()).to_numpy()
            return values if name.startswith("logit") else np.asarray(logits_from_scores(tf.constant(values)))
    raise UserError(f"teacher {str(path)!r} has neither column 'logit{suffix}' nor 'score{suffix}', only "
                    f"{table.column_names}: write one of them")


def _int64_keys(path: Path, table: pa.Table) -> np.ndarray:
    if KEY not in table.column_names or not pa.types.is_int64(table[KEY].type):
        raise UserError(f"teacher {str(path)!r} needs an int64 column {KEY!r}, it has {table.schema.names}: write the "
                        "keys of the impressions")
    keys: np.ndarray = table[KEY].to_numpy()
    return keys


def _check_values(path: Path, keys: np.ndarray, values: np.ndarray) -> None:
    contradictory = np.flatnonzero((keys[1:] == keys[:-1]) & (values[1:] != values[:-1]).any(axis=1))
    if len(contradictory):
        raise UserError(f"teacher {str(path)!r} contains key {keys[contradictory[0]]} twice, with different logits "
                        f"({len(contradictory)} such repetitions): keep one row per key")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise UserError(f"teacher {str(path)!r}: the logit of key {keys[bad[0]]} is not finite ({len(bad)} are not): "
                        "leave out or repair these rows")


def _check_complete(path: Path, keys: np.ndarray, dataset: Dataset) -> None:
    """Check that every training impression has a logit."""
    missing, first = 0, None
    for batch in evaluation_batches(dataset, TRAIN, batch_size=2**16, columns=(KEY,)).as_numpy_iterator():
        requested = batch[KEY]
        position = np.minimum(np.searchsorted(keys, requested), len(keys) - 1)
        unknown = requested[keys[position] != requested] if len(keys) else requested
        missing += len(unknown)
        first = unknown[0] if first is None and len(unknown) else first
    if missing:
        raise UserError(f"teacher {str(path)!r} has no logit for {missing} of {dataset.num_examples(TRAIN)} training "
                        f"impressions, the first with key {first}: score all of them")
