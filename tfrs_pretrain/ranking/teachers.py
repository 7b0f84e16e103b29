"""Teachers that do not learn: an exported model, a trained ranker, or stored logits, read beside each batch.

They run in the input pipeline, so the training step sees one more column and no more variables.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.artifact import load_ranker
from tfrs_pretrain.ranking.distillation import TEACHER
from tfrs_pretrain.ranking.ranker import score_names
from tfrs_pretrain.ranking.raw_values import RawValues
from tfrs_pretrain.schema import ITEM_ID, KEY, USER_ID

SIGNATURE = "serving_default"
TRAIN = "impressions/train"
_CERTAIN = 1e-7  # stored scores nearer to 0 or 1 have no finite logit in float32


class FixedTeacher(abc.ABC):
    """What a teacher says about impressions.

    Attributes:
      columns: of the impressions' records that it reads.
    """

    columns: tuple[str, ...]

    @abc.abstractmethod
    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """float32 [batch, heads] of a batch with ``columns``."""

    def beside(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """The batches, with the teacher's logits as column ``TEACHER`` and without the identifying columns."""
        def add(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            kept = {name: values for name, values in batch.items() if name not in (KEY, USER_ID, ITEM_ID)}
            logits = tf.ensure_shape(self.logits(batch), [next(iter(kept.values())).shape[0], None])
            return kept | {TEACHER: logits}

        return batches.map(add, num_parallel_calls=2, deterministic=True).prefetch(2)


def open_teacher(path: Path, dataset: Dataset, labels: Sequence[str]) -> FixedTeacher:
    """The teacher at a path: a Parquet file, a SavedModel's folder or a ranker artifact's folder.

    Args:
      path: where it lies.
      dataset: whose training impressions it will be asked about.
      labels: the heads that it must have a logit for, the main one first.

    Raises:
      UserError: it is none of these, cannot be read, or does not fit the impressions or the heads.
    """
    if path.is_file():
        return StoredLogits(path, dataset, labels)
    if (path / "saved_model.pb").is_file():
        return ServedTeacher(path, dataset, labels)
    if (path / "network.keras").is_file():
        return TrainedTeacher(path, dataset, labels)
    raise UserError(f"distillation.teacher {str(path)!r} is no teacher: expected a Parquet file of logits, the folder "
                    "of a SavedModel (with saved_model.pb) or that of a trained ranker (with network.keras)")


class TrainedTeacher(FixedTeacher):
    """A ranker artifact, trained on the same vocabularies."""

    def __init__(self, folder: Path, dataset: Dataset, labels: Sequence[str]):
        with tf.device("CPU"):
            self._ranker = load_ranker(folder, dataset)
        missing = [label for label in labels if label not in self._ranker.labels]
        if missing:
            raise UserError(f"teacher {str(folder)!r} has no head for label {missing[0]!r}, only for "
                            f"{list(self._ranker.labels)}: train it with ranking.labels, or leave the label out")
        self._heads = [self._ranker.labels.index(label) for label in labels]
        self.columns = self._ranker.inputs.columns

    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.gather(self._ranker.logits(batch), self._heads, axis=1)


class ServedTeacher(FixedTeacher):
    """A SavedModel, asked through its signature ``serving_default`` for probabilities of raw values."""

    def __init__(self, folder: Path, dataset: Dataset, labels: Sequence[str]):
        try:
            with tf.device("CPU"):
                self._model = tf.saved_model.load(str(folder))
            self._signature = self._model.signatures[SIGNATURE]
        except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
            raise UserError(f"teacher {str(folder)!r} is no SavedModel with signature {SIGNATURE!r} "
                            f"({' '.join(str(error).split())[:200]}): export it again") from error
        specs = self._signature.structured_input_signature[1]
        self._raw = RawValues(dataset, list(specs))
        self.columns = self._raw.names
        missing = sorted(set(specs) - set(self._raw.names))
        if missing:
            raise UserError(f"teacher {str(folder)!r} takes input {missing[0]!r}, which the impressions do not hold as "
                            f"a raw value (they hold {sorted(self._raw.names)}): store its logits in a Parquet file")
        self._outputs = score_names(labels)
        absent = sorted(set(self._outputs) - set(self._signature.structured_outputs))
        if absent:
            raise UserError(f"teacher {str(folder)!r} has no output {absent[0]!r}, only "
                            f"{sorted(self._signature.structured_outputs)}: export a model with these heads")

    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        scores = self._signature(**self._raw(batch))
        return tf.stack([_logits(tf.reshape(scores[name], [-1])) for name in self._outputs], axis=1)


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
            return values if name.startswith("logit") else _logits(tf.constant(values)).numpy()
    raise UserError(f"teacher {str(path)!r} has neither column 'logit{suffix}' nor 'score{suffix}', only "
                    f"{table.column_names}: write one of them")


def _int64_keys(path: Path, table: pa.Table) -> np.ndarray:
    if KEY not in table.column_names or not pa.types.is_int64(table[KEY].type):
        raise UserError(f"teacher {str(path)!r} needs an int64 column {KEY!r}, it has {table.schema.names}: write the "
                        "keys of the impressions")
    return table[KEY].to_numpy()


def _logits(scores: tf.Tensor) -> tf.Tensor:
    """Logits of probabilities [n], the certain ones held to a finite value."""
    scores = tf.clip_by_value(scores, _CERTAIN, 1 - _CERTAIN)
    return tf.math.log(scores) - tf.math.log1p(-scores)


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
        raise UserError(f"teacher {str(path)!r} has no logit for {missing} of {dataset.examples(TRAIN)} training "
                        f"impressions, the first with key {first}: score all of them")
