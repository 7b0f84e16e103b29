"""The ranking model: embedding tables, numeric features and the network. It has no loss and no teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tfrs_pretrain.embeddings.placement import REPLICATED, Placement
from tfrs_pretrain.embeddings.sparse_optimizer import NoUpdate, SparseOptimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.ranking.model.cold_rows import ColdRows, ColdRule
from tfrs_pretrain.ranking.model.contract import Shape, accepts_one_user_row, with_masks
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.row_arrays import Rows
from tfrs_pretrain.schema import ITEM_ROW, LABEL, PADDING, USER_ROW

NUMERIC, SIMILARITY = "numeric", "similarity"  # network inputs in addition to the rows
SCORE = "score"


class Ranker(tf.Module):
    """Model that maps impressions to one probability for each label.

    Args:
      inputs: columns that it reads.
      tables: name -> table.
      network: built for these inputs, see ``build_ranker``.
      labels: label column of each head, the main one first.
      cold_rows: prediction of the rows of unknown ids; None: they are the shared rows.
    """

    def __init__(self, inputs: Inputs, tables: Mapping[str, EmbeddingTable], network: keras.Model,
                 labels: Sequence[str] = (LABEL,), cold_rows: ColdRows | None = None):
        super().__init__(name="ranker")
        self.inputs = inputs
        self.tables = dict(tables)
        self.network = network
        self.labels = tuple(labels)
        self.cold_rows = cold_rows
        signature = {row.column: tf.TensorSpec([None, row.length] if row.length else [None], tf.int64)
                     for row in inputs.rows}
        signature |= {name: tf.TensorSpec([None], tf.float32) for name in inputs.numeric}
        self._probabilities = tf.function(lambda batch: tf.sigmoid(self.logits(batch)), input_signature=[signature],
                                          autograph=False)

    def gather(self, batch: Mapping[str, tf.Tensor], ids: Mapping[str, tf.Tensor] | None = None
               ) -> dict[str, tf.Tensor]:
        """Gather the rows of each input.

        Args:
          batch: columns [batch] or [batch, length]. Padding gathers row 0, which must be masked.
          ids: input -> int64 [n], gathered instead of the input's column.

        Returns:
          input -> float32 [batch, dim], [batch, length, dim] for a padded column, or [n, dim] for given ids.
        """
        gathered = {row.name: tf.maximum(batch[row.column], 0) if row.length else batch[row.column]
                 for row in self.inputs.rows} | dict(ids or {})
        return {row.name: self.tables[row.table].gather(gathered[row.name]) for row in self.inputs.rows}

    def logits_from_rows(self, rows: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor], *,
                         training: bool = False, sides: Sequence[Sequence[str]] | None = None,
                         owners: Mapping[str, tf.Tensor] | None = None) -> tf.Tensor:
        """Return float32 [batch, heads] logits.

        Args:
          rows: input -> gathered rows, see ``gather``; an input in a side of one row has a single row.
          batch: numeric columns, padded columns for their masks, and the columns that ``cold_rows`` reads.
          training: passed to the network.
          sides: names of the inputs of user, context and items, see ``contract.OneUserRow``. The inputs of a group all
            have one row or all have the batch's rows; the items have the batch's rows.
          owners: inputs without padding, see ``contract.UnpaddedRows``.
        """
        features = dict(rows)
        if self.cold_rows is not None:
            features |= self.cold_rows.fill(rows, batch)
        if self.inputs.similarity:
            features[SIMILARITY] = _similarity(features[USER_ROW], features[ITEM_ROW], self.inputs.similarity)
        if self.inputs.numeric:
            columns = [statistics.normalize(batch[name]) for name, statistics in self.inputs.numeric.items()]
            features[NUMERIC] = tf.stack(columns, axis=-1)  # [batch, numeric features]
        masks = {row.name: batch[row.column] != PADDING for row in self.inputs.rows
                 if row.length and row.name not in (owners or {})}
        features = with_masks(features, masks)
        if sides is not None and not accepts_one_user_row(self.network):
            features = _repeated(features, tf.shape(features[ITEM_ROW])[0])
            sides = None
        split = {name: value for name, value in (("sides", sides), ("owners", owners)) if value}
        logits: tf.Tensor = self.network(features, training=training, **split)
        return logits

    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return float32 [batch, heads] logits of a batch of columns."""
        return self.logits_from_rows(self.gather(batch), batch)

    def score(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return float32 [batch, heads] probabilities, in a compiled graph; columns that are not inputs are ignored."""
        return self._probabilities({name: batch[name] for name in self.inputs.columns})


def score_names(labels: Sequence[str]) -> list[str]:
    """Return the name of each head's probability: "score" for the main label, "score_<label>" for the others."""
    return [SCORE, *(f"{SCORE}_{name}" for name in labels[1:])]


def _similarity(users: tf.Tensor, items: tf.Tensor, kinds: Sequence[str]) -> tf.Tensor:
    """Compute similarity features of user and item rows, which an MLP learns only slowly by itself.

    Args:
      users: float32 [batch, dim], or [1, dim] for one user.
      items: float32 [batch, dim].
      kinds: "dot" and "cosine" are one column each; "norms" is two columns, of the user's and of the item's row.

    Returns:
      float32 [batch, columns].
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
    """Return float32 [batch, 1], the inner product of rows [batch, dim]."""
    return tf.reduce_sum(users * items, axis=1, keepdims=True)


def _norm(rows: tf.Tensor) -> tf.Tensor:
    """Return float32 [batch, 1]; a row of zeros has norm 1e-6, so that the gradient of the square root is finite."""
    return tf.sqrt(tf.maximum(_dot(rows, rows), 1e-12))


def _repeated(features: Mapping[str, tf.Tensor], batch: tf.Tensor) -> dict[str, tf.Tensor]:
    """Repeat features of one row to the rows of the batch."""
    return {name: tf.broadcast_to(values, tf.concat([[batch], tf.shape(values)[1:]], 0))
            for name, values in features.items()}


def feature_shapes(inputs: Inputs, dims: Mapping[str, int]) -> dict[str, Shape]:
    """Return the shapes of a network's inputs.

    Args:
      inputs: of the ranker.
      dims: table -> columns.
    """
    shapes: dict[str, Shape] = {row.name: (None, row.length, dims[row.table]) if row.length else (None, dims[row.table])
                                for row in inputs.rows}
    if inputs.similarity:
        shapes[SIMILARITY] = (None, len(inputs.similarity) + inputs.similarity.count("norms"))
    if inputs.numeric:
        shapes[NUMERIC] = (None, len(inputs.numeric))
    return shapes


def build_ranker(inputs: Inputs, rows: Mapping[str, Rows], network: keras.Model, *,
                 rules: Mapping[str, SparseOptimizer] | None = None, labels: Sequence[str] = (LABEL,),
                 cold_rules: Mapping[str, ColdRule] | None = None,
                 placements: Mapping[str, Placement] | None = None) -> Ranker:
    """Create a ranker; call it inside the strategy's scope.

    Args:
      inputs: columns that it reads.
      rows: table -> float32 [num_rows, dim], its initial rows.
      network: built here for these inputs if it is not built yet.
      rules: table -> its update rule; tables without one have no optimizer state and cannot be trained.
      labels: label column of each head, the main one first.
      cold_rules: ID space -> prediction of the rows of unknown ids.
      placements: table -> its placement; the others are replicated.
    """
    tables = {name: EmbeddingTable(name, rows[name], (rules or {}).get(name, NoUpdate()),
                                   placement=(placements or {}).get(name, REPLICATED)) for name in inputs.tables}
    if not network.built:
        network.build(feature_shapes(inputs, {name: table.dim for name, table in tables.items()}))
    cold_rows = ColdRows(cold_rules, inputs.numeric) if cold_rules else None
    return Ranker(inputs, tables, network, labels, cold_rows)
