"""The ranking model: embedding tables, numeric features and the network above them. Holds no loss and no teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.sparse_optimizer import NoUpdate, SparseOptimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.network import RankingNetwork
from tfrs_pretrain.schema import ITEM_ROW, LABEL, PADDING, USER_ROW

NUMERIC, SIMILARITY = "numeric", "similarity"  # inputs of the network beside the rows
SCORE = "score"


class Ranker(tf.Module):
    """Scores impressions.

    Args:
      inputs: columns that it reads.
      tables: table by name.
      network: built for these inputs, see ``build_ranker``.
      labels: label column that each head predicts, the main one first.
    """

    def __init__(self, inputs: Inputs, tables: Mapping[str, EmbeddingTable], network: RankingNetwork,
                 labels: Sequence[str] = (LABEL,)):
        super().__init__(name="ranker")
        self.inputs = inputs
        self.tables = dict(tables)
        self.network = network
        self.labels = tuple(labels)
        signature = {row.column: tf.TensorSpec([None, row.length] if row.length else [None], tf.int64)
                     for row in inputs.rows}
        signature |= {name: tf.TensorSpec([None], tf.float32) for name in inputs.numeric}
        self._probabilities = tf.function(lambda batch: tf.sigmoid(self.logits(batch)), input_signature=[signature],
                                          autograph=False)

    def gather(self, batch: Mapping[str, tf.Tensor], ids: Mapping[str, tf.Tensor] | None = None
               ) -> dict[str, tf.Tensor]:
        """Rows of each input: ``{name: float32 [batch, dim]}``, or [batch, length, dim] of a padded column.

        Padding is shown row 0, which a mask must hide. Of inputs that have ``ids``, the rows of these: [n, dim].
        """
        shown = {row.name: tf.maximum(batch[row.column], 0) if row.length else batch[row.column]
                 for row in self.inputs.rows} | dict(ids or {})
        return {row.name: self.tables[row.table].gather(shown[row.name]) for row in self.inputs.rows}

    def logits_from_rows(self, rows: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor], *,
                         training: bool = False, sides: Sequence[Sequence[str]] | None = None,
                         owners: Mapping[str, tf.Tensor] | None = None) -> tf.Tensor:
        """float32 [batch, heads] logits of gathered rows and the batch's other columns.

        Inputs with ``owners``, see ``RankingNetwork.call``, come without padding.

        With ``sides``, see ``RankingNetwork.call``, rows may be those of one user for all items.
        """
        features = dict(rows)
        if self.inputs.similarity:
            features[SIMILARITY] = _similarity(rows[USER_ROW], rows[ITEM_ROW], self.inputs.similarity)
        if self.inputs.numeric:
            columns = [statistics.normalize(batch[name]) for name, statistics in self.inputs.numeric.items()]
            features[NUMERIC] = tf.stack(columns, axis=-1)  # [batch, numeric features]
        masks = {row.name: batch[row.column] != PADDING for row in self.inputs.rows
                 if row.length and row.name not in (owners or {})}
        return self.network(features, masks, training=training, sides=sides, owners=owners)

    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """float32 [batch, heads] logits."""
        return self.logits_from_rows(self.gather(batch), batch)

    def score(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """float32 [batch, heads] probabilities, compiled; columns that the ranker does not read are ignored."""
        return self._probabilities({name: batch[name] for name in self.inputs.columns})


def score_names(labels: Sequence[str]) -> list[str]:
    """Name of each head's probability: "score" of the main label, "score_<label>" of the others."""
    return [SCORE, *(f"{SCORE}_{name}" for name in labels[1:])]


def _similarity(users: tf.Tensor, items: tf.Tensor, kinds: Sequence[str]) -> tf.Tensor:
    """float32 [batch, columns] of rows [batch, dim]: what pretraining taught about the pair; an MLP learns it slowly.

    There may be one user for all items.
    "dot" and "cosine" are a column each, "norms" are two, of the user's and of the item's row.
    """
    columns = []
    for kind in kinds:
        if kind == "norms":
            norm = _norm(items)
            columns += [tf.broadcast_to(_norm(users), tf.shape(norm)), norm]
        elif kind == "cosine":
            columns.append(_dot(tf.math.l2_normalize(users, axis=1), tf.math.l2_normalize(items, axis=1)))
        else:
            columns.append(_dot(users, items))
    return tf.concat(columns, axis=1)


def _dot(users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """float32 [batch, 1]."""
    return tf.reduce_sum(users * items, axis=1, keepdims=True)


def _norm(rows: tf.Tensor) -> tf.Tensor:
    """float32 [batch, 1]; a row of zeros has norm 1e-6, where the square root's slope is finite."""
    return tf.sqrt(tf.maximum(_dot(rows, rows), 1e-12))


def build_ranker(inputs: Inputs, rows: Mapping[str, np.ndarray], network: RankingNetwork, *,
                 rules: Mapping[str, SparseOptimizer] | None = None, labels: Sequence[str] = (LABEL,)) -> Ranker:
    """A ranker whose tables start at ``rows``; call it inside the strategy's scope.

    Args:
      inputs: columns that it reads.
      rows: float32 [rows, dim] of each table.
      network: built here for these inputs, unless it already is.
      rules: how each table is updated; the others have no optimizer state and are not to be trained.
      labels: label column that each head predicts.
    """
    tables = {name: EmbeddingTable(name, rows[name], (rules or {}).get(name, NoUpdate())) for name in inputs.tables}
    if not network.built:
        shapes: dict[str, tuple[int | None, ...]] = {
            row.name: (None, row.length, tables[row.table].dim) if row.length else (None, tables[row.table].dim)
            for row in inputs.rows}
        if inputs.similarity:
            shapes[SIMILARITY] = (None, len(inputs.similarity) + inputs.similarity.count("norms"))
        if inputs.numeric:
            shapes[NUMERIC] = (None, len(inputs.numeric))
        network.build(shapes)
    return Ranker(inputs, tables, network, labels)
