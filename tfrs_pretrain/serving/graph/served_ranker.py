"""What is served: raw ids and features in, probabilities out. No teacher, no loss, no optimizer state."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.features.raw_input import CONTEXT, ITEM, USER
from tfrs_pretrain.ranking.model.ranker import NUMERIC, SIMILARITY, Ranker, score_names
from tfrs_pretrain.schema import ITEM_ID
from tfrs_pretrain.serving.graph.example_parsing import parse_examples
from tfrs_pretrain.serving.graph.inputs import Raw, checked, checked_candidates, raw_inputs
from tfrs_pretrain.serving.graph.lookup import make_lookup
from tfrs_pretrain.serving.graph.served_tables import ServedTable


class ServedRanker(tf.Module):
    """A trained ranker behind in-graph vocabulary lookups.

    Args:
      ranker: the trained student.
      dataset: what it was trained on, for its schema and vocabularies.
      assets: folder for the lookups' files; must exist until the model is saved.
      table_dtype: "float32", "float16" or "int8", see ``ServedTable``.

    Attributes:
      inputs: raw inputs by name.
      outputs: name of each probability -> label column of the dataset's records, the main one first.
      classes: the labels as the log names them.
      tables: name -> rows, dim, dtype, bytes and vocabulary.
    """

    def __init__(self, ranker: Ranker, dataset: Dataset, assets: Path, table_dtype: str = "float32"):
        super().__init__(name="served_ranker")
        self.inputs = raw_inputs(dataset.schema, ranker.inputs.columns)
        self.outputs = dict(zip(score_names(ranker.labels), ranker.labels, strict=True))
        self.classes = (dataset.schema.label, *ranker.labels[1:])
        self._rows, self._numeric = ranker.inputs.rows, tuple(ranker.inputs.numeric)
        self._kinds = {name: dataset.schema.inputs[name] for name in ranker.inputs.columns}
        self._lookups = {name: make_lookup(dataset.vocabulary(name), assets / f"{name}.ids")
                         for name in dict.fromkeys(ranker.inputs.tables.values())}
        self._tables = {name: ServedTable(name, table.numpy(), table_dtype) for name, table in ranker.tables.items()}
        self.tables = {name: table.described() | {"vocabulary": vocabulary, "digest": dataset.digests[vocabulary]}
                       for name, vocabulary in ranker.inputs.tables.items() for table in [self._tables[name]]}
        self._sides = self._network_sides(ranker)
        # A method, not the ranker: saving follows modules, and would take the optimizer's slots along. The network's
        # raw variables are listed because TF Serving does not find those that only a Keras 3 model holds.
        self._logits = ranker.logits_from_rows
        self._dense = [variable.value for variable in ranker.network.variables]

    def score(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Named raw inputs, see ``raw_inputs`` -> ``{"score": float32 [batch]}``, the probability of an engagement.

        Further heads add ``score_<label>``.
        """
        return self._named(self._probabilities(checked(raw, self.inputs)))

    def rank(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """As ``score``, of one user's candidates [n], none too: what depends on the user alone is computed once.

        Inputs of the user are [1], those of items [n], those of the context either.
        """
        return self._named(self._probabilities(checked_candidates(raw, self.inputs), self._sides))

    def score_examples(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """As ``score``, of serialized tf.Examples [batch]."""
        return self._named(self._probabilities(parse_examples(inputs, self.inputs)))

    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Of serialized tf.Examples [batch]: the labels and their probabilities, each [batch, heads]."""
        scores = self._probabilities(parse_examples(inputs, self.inputs))
        return {"classes": tf.tile(tf.constant([self.classes]), [tf.shape(scores)[0], 1]), "scores": scores}

    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Of serialized tf.Examples [batch]: the main label's probability [batch]."""
        return {"outputs": self._probabilities(parse_examples(inputs, self.inputs))[:, 0]}

    def embedding(self, space: str, ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Raw ids [batch] of "user" or "item" -> ``{"embedding": [batch, dim]}``: rows of the ranker's own table.

        They are the pretrained rows after fine-tuning, or whatever the arm put in their place; a table that the arm
        keeps beside it (``fresh_dim``) is left out.
        """
        return {"embedding": self._tables[space].gather(self._lookups[space].rows(tf.ensure_shape(ids, [None])))}

    def _named(self, probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(self.outputs, tf.unstack(probabilities, axis=1), strict=True))

    def _probabilities(self, raw: Raw, sides: tuple[tuple[str, ...], ...] | None = None) -> tf.Tensor:
        """float32 [batch, heads]."""
        batch = {name: self._column(name, raw) for name in dict.fromkeys(row.column for row in self._rows)}
        if sides:
            batch |= _repeated({row.column: batch[row.column] for row in self._rows if row.name in sides[1]})
        # As in Ranker.gather: [batch, dim], or [batch, length, dim] with row 0 for padding, which is masked.
        rows = {row.name: self._tables[row.table].gather(tf.maximum(batch[row.column], 0) if row.length
                                                         else batch[row.column]) for row in self._rows}
        numeric = {name: self._column(name, raw) for name in self._numeric}
        if sides:
            numeric = {name: tf.broadcast_to(values, tf.shape(raw[ITEM_ID])) for name, values in numeric.items()}
        return tf.sigmoid(self._logits(rows, batch | numeric, sides=sides))

    def _column(self, name: str, raw: Raw) -> tf.Tensor:
        """A column of the batch, as the ranker reads it, from raw inputs."""
        kind = self._kinds[name]
        return kind.graph_column(raw[kind.raw_name], lambda vocabulary, values: self._lookups[vocabulary].rows(values))

    def _network_sides(self, ranker: Ranker) -> tuple[tuple[str, ...], ...]:
        """The network's inputs that have the user's row, the context's and the items'.

        What looks at both user and item is the item's: attention to the candidate, similarity; numbers, too, of which
        all are one input.
        """
        def side(row: RowInput) -> str:
            return ITEM if row.pooling == "attention" else self._kinds[row.column].raw_input.side

        names = {name: [row.name for row in self._rows if side(row) == name] for name in (USER, CONTEXT, ITEM)}
        names[ITEM] += [SIMILARITY] * bool(ranker.inputs.similarity) + [NUMERIC] * bool(self._numeric)
        return tuple(map(tuple, names.values()))


def _repeated(columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The columns [1 or n] or [1 or n, any], each with n rows where one has."""
    if not columns:
        return {}
    rows = functools.reduce(tf.broadcast_dynamic_shape, (tf.shape(values)[:1] for values in columns.values()))
    return {name: tf.broadcast_to(values, tf.concat([rows, tf.shape(values)[1:]], 0))
            for name, values in columns.items()}
