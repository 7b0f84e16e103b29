"""The served model: from raw ids and features to probabilities. No teacher, no loss, no optimizer state."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf

from tfrs_pretrain.features.base import GraphLookup
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.features.raw_input import CONTEXT, ITEM, USER
from tfrs_pretrain.ranking.model.ranker import NUMERIC, SIMILARITY, Ranker, score_names
from tfrs_pretrain.schema import ITEM_ID, Schema
from tfrs_pretrain.serving.graph.example_parsing import parse_examples
from tfrs_pretrain.serving.graph.inputs import Raw, raw_inputs, validated, validated_candidates
from tfrs_pretrain.serving.graph.lookup import VocabularyLookup, make_lookup
from tfrs_pretrain.serving.graph.served_tables import ServedTable, StoredRows
from tfrs_pretrain.vocabulary import Vocabulary


class VocabularySource(Protocol):
    """A dataset, or another source of a schema and of vocabularies."""

    @property
    def schema(self) -> Schema:
        """Schema of the raw values."""

    @property
    def digests(self) -> dict[str, str]:
        """Name of a vocabulary -> its digest."""

    def vocabulary(self, name: str) -> Vocabulary:
        """Loads a vocabulary."""


class ServedRanker(tf.Module):
    """A trained ranker with vocabulary lookups in the graph.

    Args:
      ranker: trained ranker.
      dataset: dataset on which it was trained, for schema and vocabularies.
      assets: folder for the files of the lookups; must exist until the model is saved.
      table_dtype: "float32", "float16" or "int8", see ``ServedTable``.
      stored: rows of each table as served; None: the ranker's, in ``table_dtype``.

    Attributes:
      inputs: raw inputs by name.
      outputs: name of each probability -> label column of the dataset's records, the main label first.
      classes: names of the labels in the log.
      tables: name -> rows, dim, dtype, bytes, and the vocabulary with its digest.
    """

    def __init__(self, ranker: Ranker, dataset: VocabularySource, assets: Path, table_dtype: str = "float32",
                 stored: Mapping[str, StoredRows] | None = None):
        super().__init__(name="served_ranker")
        self.inputs = raw_inputs(dataset.schema, ranker.inputs.columns)
        self.outputs = dict(zip(score_names(ranker.labels), ranker.labels, strict=True))
        self.classes = (dataset.schema.label, *ranker.labels[1:])
        self._rows, self._numeric = ranker.inputs.rows, tuple(ranker.inputs.numeric)
        self._kinds = {name: dataset.schema.inputs[name] for name in ranker.inputs.columns}
        self._lookups = {name: self._make_lookup(dataset.vocabulary(name), assets / f"{name}.ids", name)
                         for name in dict.fromkeys(ranker.inputs.tables.values())}
        stored = stored or {name: StoredRows.quantized(table.numpy(), table_dtype)
                            for name, table in ranker.tables.items()}
        self._tables = {name: self._make_table(name, rows) for name, rows in stored.items()}
        self.tables = {name: table.described() | {"vocabulary": vocabulary, "digest": dataset.digests[vocabulary]}
                       for name, vocabulary in ranker.inputs.tables.items() for table in [self._tables[name]]}
        self._sides = self._network_sides(ranker)
        # A method, not the ranker: saving follows modules and would save the optimizer's slots. The network's raw
        # variables are listed because TF Serving does not find variables that only a Keras 3 model references.
        self._logits: Callable[..., tf.Tensor] = ranker.logits_from_rows
        self._dense = [variable.value for variable in ranker.network.variables]
        self._cold_rows = ranker.cold_rows

    def score(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores impressions.

        Args:
          **raw: raw inputs by name, [batch] or [batch, length].

        Returns:
          ``{"score": float32 [batch]}``, the probability of an engagement; further heads add ``score_<label>``.
        """
        return self._by_name(self._probabilities(validated(raw, self.inputs)))

    def rank(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores N candidates (possibly none) for one user; the part that depends only on the user is computed once.

        Args:
          **raw: raw inputs by name: user inputs [1], item inputs [N], context inputs either.

        Returns:
          As ``score``, [N].
        """
        return self._by_name(self._probabilities(validated_candidates(raw, self.inputs), self._sides))

    def score_examples(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores serialized tf.Examples [batch]; see ``score``."""
        return self._by_name(self._probabilities(parse_examples(inputs, self.inputs)))

    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns labels and probabilities of serialized tf.Examples [batch], each [batch, heads]."""
        scores = self._probabilities(parse_examples(inputs, self.inputs))
        return {"classes": tf.tile(tf.constant([self.classes]), [tf.shape(scores)[0], 1]), "scores": scores}

    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the main label's probability [batch] of serialized tf.Examples [batch]."""
        return {"outputs": self._probabilities(parse_examples(inputs, self.inputs))[:, 0]}

    def embedding(self, space: str, ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Looks up embeddings in the ranker's table, which for most arms is the fine-tuned pretrained table.

        A second table of the arm (``fresh_dim``) is not included.

        Args:
          space: "user" or "item".
          ids: raw ids [batch].

        Returns:
          ``{"embedding": float32 [batch, dim]}``.
        """
        return {"embedding": self._tables[space].gather(self._look_up(space, tf.ensure_shape(ids, [None])))}

    def extra_functions(self) -> dict[str, tuple[Any, dict[str, tf.TensorSpec]]]:
        """Returns further signatures: name -> function, and its inputs."""
        return {}

    def _make_lookup(self, vocabulary: Vocabulary, asset: Path, name: str) -> VocabularyLookup:
        del name  # for lookups that differ between vocabularies
        return make_lookup(vocabulary, asset)

    def _make_table(self, name: str, stored: StoredRows) -> ServedTable:
        return ServedTable(name, stored)

    def _by_name(self, probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(self.outputs, tf.unstack(probabilities, axis=1), strict=True))

    def _probabilities(self, raw: Raw, sides: tuple[tuple[str, ...], ...] | None = None) -> tf.Tensor:
        """Returns probabilities, float32 [batch, heads].

        Args:
          raw: validated raw inputs.
          sides: names of the network's inputs for user, context and items, if one user's candidates are ranked.
        """
        batch = self._columns(dict.fromkeys(row.column for row in self._rows), raw)
        if sides:
            batch |= _same_batch_size({row.column: batch[row.column] for row in self._rows if row.name in sides[1]})
        # As in Ranker.gather: [batch, dim], or [batch, length, dim] with row 0 for padding, which is masked.
        rows = {row.name: self._tables[row.table].gather(tf.maximum(batch[row.column], 0) if row.length
                                                         else batch[row.column]) for row in self._rows}
        numeric = {name: self._column(name, raw, self._look_up) for name in self._numeric}
        if sides:
            numeric = {name: tf.broadcast_to(values, tf.shape(raw[ITEM_ID])) for name, values in numeric.items()}
        return tf.sigmoid(self._logits(rows, batch | numeric, sides=sides))

    def _columns(self, names: Iterable[str], raw: Raw) -> dict[str, tf.Tensor]:
        """Converts raw inputs of ids and categories to the batch columns that the ranker reads."""
        return {name: self._column(name, raw, self._look_up) for name in names}

    def _column(self, name: str, raw: Raw, lookup: GraphLookup) -> tf.Tensor:
        kind = self._kinds[name]
        return kind.graph_column(raw[kind.raw_name], lookup)

    def _look_up(self, vocabulary: str, values: tf.Tensor) -> tf.Tensor:
        return self._lookups[vocabulary].lookup(values)

    def _network_sides(self, ranker: Ranker) -> tuple[tuple[str, ...], ...]:
        """Names of the network's inputs with the batch size of the user, of the context and of the items.

        Inputs that combine user and item (attention to the candidate, similarity) belong to the items, and so do the
        numeric features, which together form one input.
        """
        def side(row: RowInput) -> str:
            return ITEM if row.pooling == "attention" else self._kinds[row.column].raw_input.side

        names = {name: [row.name for row in self._rows if side(row) == name] for name in (USER, CONTEXT, ITEM)}
        names[ITEM] += [SIMILARITY] * bool(ranker.inputs.similarity) + [NUMERIC] * bool(self._numeric)
        return tuple(map(tuple, names.values()))


def _same_batch_size(columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Broadcasts columns [1 or n] or [1 or n, length] to n rows if any of them has n rows."""
    if not columns:
        return {}
    size = functools.reduce(tf.broadcast_dynamic_shape, (tf.shape(values)[:1] for values in columns.values()))
    return {name: tf.broadcast_to(values, tf.concat([size, tf.shape(values)[1:]], 0))
            for name, values in columns.items()}
