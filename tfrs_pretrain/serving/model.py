"""What is served: raw ids and features in, probabilities out. No teacher, no loss, no optimizer state."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.ranking.ranker import Ranker, score_names
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, USER_ID, USER_ROW, Schema
from tfrs_pretrain.serving.lookup import VocabularyLookup

SIGNATURE = "serving_default"


def input_dtypes(schema: Schema) -> dict[str, str]:
    """Input of the signature -> raw dtype: the two ids and every feature that serving has."""
    features = {feature.name: feature.dtype for feature in schema.features if not feature.privileged}
    return {USER_ID: schema.user.dtype, ITEM_ID: schema.item.dtype, **features}


class ServedRanker(tf.Module):
    """A trained ranker behind in-graph vocabulary lookups.

    Args:
      ranker: the trained student.
      dataset: what it was trained on, for its schema and vocabularies.
      assets: folder for the lookups' files; must exist until the model is saved.
    """

    def __init__(self, ranker: Ranker, dataset: Dataset, assets: Path):
        super().__init__(name="served_ranker")
        self._inputs = input_dtypes(dataset.schema)
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
        """Named raw inputs, each [batch] -> ``{"score": float32 [batch]}``, the probability of an engagement.

        Further heads add ``score_<label>``.
        """
        batch = {row.column: self._lookups[row.vocabulary].rows(raw[_raw_name(row.column)]) for row in self._rows}
        rows = {row.name: tf.gather(self._tables[row.table], batch[row.column]) for row in self._rows}  # [batch, dim]
        probabilities = tf.sigmoid(self._logits(rows, batch | {name: raw[name] for name in self._numeric}))
        return dict(zip(self._outputs, tf.unstack(probabilities, axis=1), strict=True))

    def save(self, folder: Path) -> None:
        """Writes the SavedModel with its signature ``serving_default``."""
        specs = {name: tf.TensorSpec([None], tf.as_dtype(dtype), name) for name, dtype in self._inputs.items()}
        signature = tf.function(self.score).get_concrete_function(**specs)
        tf.saved_model.save(self, str(folder), signatures={SIGNATURE: signature})


def _raw_name(column: str) -> str:
    return {USER_ROW: USER_ID, ITEM_ROW: ITEM_ID}.get(column, column)
