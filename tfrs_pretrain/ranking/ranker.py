"""The ranking model: embedding tables, numeric features and the network above them. Holds no loss and no teacher."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.ranking.inputs import Inputs, normalized
from tfrs_pretrain.ranking.network import RankingNetwork
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW

NUMERIC, SIMILARITY = "numeric", "similarity"  # inputs of the network beside the rows, which go by their tables' names


class Ranker(tf.Module):
    """Scores impressions.

    Args:
      inputs: columns that it reads.
      tables: column of rows -> its table.
      network: built for these inputs, see ``build_ranker``.
    """

    def __init__(self, inputs: Inputs, tables: Mapping[str, EmbeddingTable], network: RankingNetwork):
        super().__init__(name="ranker")
        self.inputs = inputs
        self.tables = dict(tables)
        self.network = network
        signature = {name: tf.TensorSpec([None], tf.int64) for name in inputs.tables}
        signature |= {name: tf.TensorSpec([None], tf.float32) for name in inputs.numeric}
        self._probabilities = tf.function(lambda batch: tf.sigmoid(self.logits(batch)), input_signature=[signature])

    def gather(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Rows of each table: ``{name: float32 [batch, dim]}`` of a batch of ``{name: int64 [batch]}``."""
        return {name: self.tables[name].gather(batch[name]) for name in self.inputs.tables}

    def logits_from_rows(self, rows: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """float32 [batch] logits of gathered rows and the batch's numeric columns."""
        features = dict(rows)
        if self.inputs.similarity != "none":
            features[SIMILARITY] = _similarity(rows[USER_ROW], rows[ITEM_ROW], self.inputs.similarity)
        if self.inputs.numeric:
            columns = [normalized(batch[name], statistics) for name, statistics in self.inputs.numeric.items()]
            features[NUMERIC] = tf.stack(columns, axis=-1)  # [batch, numeric features]
        return self.network(features)

    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """float32 [batch] logits."""
        return self.logits_from_rows(self.gather(batch), batch)

    def score(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """float32 [batch] probabilities, compiled; columns that the ranker does not read are ignored."""
        return self._probabilities({name: batch[name] for name in self.inputs.columns})


def _similarity(users: tf.Tensor, items: tf.Tensor, kind: str) -> tf.Tensor:
    """float32 [batch, 1] of rows [batch, dim]: what pretraining taught about the pair, which an MLP learns slowly."""
    if kind == "cosine":
        users, items = tf.math.l2_normalize(users, axis=1), tf.math.l2_normalize(items, axis=1)
    return tf.reduce_sum(users * items, axis=1, keepdims=True)


def build_ranker(inputs: Inputs, rows: Mapping[str, np.ndarray], network: RankingNetwork, *,
                 table_optimizer: str) -> Ranker:
    """A ranker whose tables start at ``rows``; call it inside the strategy's scope.

    Args:
      inputs: columns that it reads.
      rows: float32 [rows, dim] of each table.
      network: built here for these inputs, unless it already is.
      table_optimizer: name for ``make_optimizer``.
    """
    tables = {name: EmbeddingTable(name, rows[name], make_optimizer(table_optimizer)) for name in inputs.tables}
    if not network.built:
        shapes: dict[str, tuple[int | None, int]] = {name: (None, table.dim) for name, table in tables.items()}
        if inputs.similarity != "none":
            shapes[SIMILARITY] = (None, 1)
        if inputs.numeric:
            shapes[NUMERIC] = (None, len(inputs.numeric))
        network.build(shapes)
    return Ranker(inputs, tables, network)
