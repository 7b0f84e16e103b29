"""A teacher that said everything beforehand."""

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
from tfrs_pretrain.ranking.distillation.fixed_teacher import FixedTeacher, logits_of
from tfrs_pretrain.schema import KEY

TRAIN = "impressions/train"


class StoredLogits(FixedTeacher):
    """A Parquet file with column ``key`` and, for each head, ``logit`` or ``score`` (others: ``_<label>`` added).

    Predictions of a ranker artifact have this form. Kept in memory: 8 + 4 * heads bytes an impression.
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
        _check_stored(path, keys, values)
        _check_complete(path, keys, dataset)
        with tf.device("CPU"):
            self._keys, self._values = tf.constant(keys), tf.constant(values, tf.float32)

    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.gather(self._values, tf.searchsorted(self._keys, batch[KEY]))


def _column(path: Path, table: pa.Table, suffix: str) -> np.ndarray:
    """float64 [n] logits of one head."""
    for name in (f"logit{suffix}", f"score{suffix}"):
        if name in table.column_names:
            values = table[name].cast(pa.float64()).to_numpy()
            return values if name.startswith("logit") else logits_of(tf.constant(values)).numpy()
    raise UserError(f"teacher {str(path)!r} has neither column 'logit{suffix}' nor 'score{suffix}', only "
                    f"{table.column_names}: write one of them")


def _int64_keys(path: Path, table: pa.Table) -> np.ndarray:
    if KEY not in table.column_names or not pa.types.is_int64(table[KEY].type):
        raise UserError(f"teacher {str(path)!r} needs an int64 column {KEY!r}, it has {table.schema.names}: write the "
                        "keys of the impressions")
    return table[KEY].to_numpy()


def _check_stored(path: Path, keys: np.ndarray, values: np.ndarray) -> None:
    twice = np.flatnonzero((keys[1:] == keys[:-1]) & (values[1:] != values[:-1]).any(axis=1))
    if len(twice):
        raise UserError(f"teacher {str(path)!r} holds key {keys[twice[0]]} twice, with different logits ({len(twice)} "
                        "such repetitions): keep one row a key")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise UserError(f"teacher {str(path)!r}: the logit of key {keys[bad[0]]} is not finite ({len(bad)} are not): "
                        "leave out or repair these rows")


def _check_complete(path: Path, keys: np.ndarray, dataset: Dataset) -> None:
    """Every training impression has a logit."""
    missing, first = 0, None
    for batch in evaluation_batches(dataset, TRAIN, batch_size=2**16, columns=(KEY,)).as_numpy_iterator():
        asked = batch[KEY]
        place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        unknown = asked[keys[place] != asked] if len(keys) else asked
        missing += len(unknown)
        first = unknown[0] if first is None and len(unknown) else first
    if missing:
        raise UserError(f"teacher {str(path)!r} has no logit for {missing} of {dataset.num_examples(TRAIN)} training "
                        f"impressions, the first with key {first}: score all of them")
