"""Fixed teachers that are models: a trained ranker, or an exported SavedModel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.distillation.fixed_teacher import FixedTeacher, logits_from_scores
from tfrs_pretrain.ranking.distillation.raw_values import RawValues
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.model.ranker import score_names

SIGNATURE = "serving_default"


class TrainedTeacher(FixedTeacher):
    """A ranker artifact that was trained with the dataset's vocabularies."""

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
    """A SavedModel whose signature ``serving_default`` maps raw values to probabilities."""

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
            raise UserError(f"teacher {str(folder)!r} requires input {missing[0]!r}, which the impressions do not "
                            f"contain as a raw value (they contain {sorted(self._raw.names)}): store its logits in a "
                            "Parquet file")
        self._outputs = score_names(labels)
        absent = sorted(set(self._outputs) - set(self._signature.structured_outputs))
        if absent:
            raise UserError(f"teacher {str(folder)!r} has no output {absent[0]!r}, only "
                            f"{sorted(self._signature.structured_outputs)}: export a model with these heads")

    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        scores = self._signature(**self._raw(batch))
        return tf.stack([logits_from_scores(tf.reshape(scores[name], [-1])) for name in self._outputs], axis=1)
