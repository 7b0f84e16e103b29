"""What is served: raw ids and features in, probabilities out. No teacher, no loss, no optimizer state."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.ranking.inputs import RowInput
from tfrs_pretrain.ranking.ranker import Ranker, score_names
from tfrs_pretrain.schema import HISTORY, ITEM_ID, ITEM_ROW, PADDING, USER_ID, USER_ROW, Schema
from tfrs_pretrain.serving.lookup import VocabularyLookup
from tfrs_pretrain.vocabulary import MISSING

SIGNATURE = "serving_default"


@dataclasses.dataclass(frozen=True)
class RawInput:
    """One input of the signature: raw values [batch], or [batch, length] padded with the missing value.

    Attributes:
      dtype: "int64", "string" or "float32".
      length: values an impression, of which any may be padding; None: one.
    """

    dtype: str
    length: int | None = None

    @property
    def spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, self.length] if self.length else [None], tf.as_dtype(self.dtype))


def raw_inputs(schema: Schema, columns: Iterable[str]) -> dict[str, RawInput]:
    """Inputs of the signature of a model that reads these columns of a batch, by name."""
    known = {USER_ID: RawInput(schema.user.dtype), ITEM_ID: RawInput(schema.item.dtype)}
    known |= {f.name: RawInput(f.dtype, f.max_values) for f in schema.features}
    if schema.history:
        known[HISTORY] = RawInput(schema.item.dtype, schema.history.length)
    return {_raw_name(column): known[_raw_name(column)] for column in columns}


class ServedRanker(tf.Module):
    """A trained ranker behind in-graph vocabulary lookups.

    Args:
      ranker: the trained student.
      dataset: what it was trained on, for its schema and vocabularies.
      assets: folder for the lookups' files; must exist until the model is saved.
    """

    def __init__(self, ranker: Ranker, dataset: Dataset, assets: Path):
        super().__init__(name="served_ranker")
        self._inputs = raw_inputs(dataset.schema, ranker.inputs.columns)
        self._rows = ranker.inputs.rows
        self._lookups = {name: VocabularyLookup(dataset.vocabulary(name), assets / f"{name}.ids")
                         for name in dict.fromkeys(ranker.inputs.tables.values())}
        self._tables = {name: tf.Variable(table.numpy(), trainable=False, name=name)
                        for name, table in ranker.tables.items()}
        self._numeric, self._outputs = tuple(ranker.inputs.numeric), score_names(ranker.labels)
        # A method, not the ranker: saving follows modules, and would take the optimizer's slots along. The network's
        # raw variables are listed because TF Serving does not find those that only a Keras 3 model holds.
        self._logits = ranker.logits_from_rows
        self._dense = [variable.value for variable in ranker.network.variables]

    def score(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Named raw inputs, see ``raw_inputs`` -> ``{"score": float32 [batch]}``, the probability of an engagement.

        Further heads add ``score_<label>``.
        """
        batch = {row.column: self._looked_up(row, raw[_raw_name(row.column)]) for row in self._rows}
        # As in Ranker.gather: [batch, dim], or [batch, length, dim] with row 0 for padding, which is masked.
        rows = {row.name: tf.gather(self._tables[row.table], tf.maximum(batch[row.column], 0)) for row in self._rows}
        probabilities = tf.sigmoid(self._logits(rows, batch | {name: raw[name] for name in self._numeric}))
        return dict(zip(self._outputs, tf.unstack(probabilities, axis=1), strict=True))

    def _looked_up(self, row: RowInput, raw: tf.Tensor) -> tf.Tensor:
        """int64 rows of raw values [batch]; of several values [batch, length], padding where the value is missing."""
        lookup = self._lookups[row.vocabulary]
        if row.length is None:
            return lookup.rows(raw)
        rows = tf.reshape(lookup.rows(tf.reshape(raw, [-1])), tf.shape(raw))
        return tf.where(raw == MISSING[lookup.dtype.name], tf.constant(PADDING, tf.int64), rows)

    def save(self, folder: Path) -> None:
        """Writes the SavedModel with its signature ``serving_default``."""
        specs = {name: tf.TensorSpec(of.spec.shape, of.spec.dtype, name) for name, of in self._inputs.items()}
        signature = tf.function(self.score).get_concrete_function(**specs)
        tf.saved_model.save(self, str(folder), signatures={SIGNATURE: signature})


def _raw_name(column: str) -> str:
    return {USER_ROW: USER_ID, ITEM_ROW: ITEM_ID}.get(column, column)
