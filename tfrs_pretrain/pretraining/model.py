"""The model of Stage I: two bare ID lookups and a contrastive task."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrs_pretrain.embeddings.tables import EmbeddingTable, local
from tfrs_pretrain.pretraining.task import Columns, InBatchSoftmax, unique_columns
from tfrs_pretrain.training.schedules import Schedule


class TwoTower(tfrs.Model):
    """Create it, and its tables, inside ``strategy.scope()``.

    Args:
      users: table of the queries.
      items: table of the candidates.
      task: the loss.
      candidate_probability: float64 [item rows], sampling probability of each candidate row, all positive; None
        leaves the logits uncorrected.
      learning_rate: of both tables, from the number of steps done.
    """

    def __init__(self, users: EmbeddingTable, items: EmbeddingTable, task: InBatchSoftmax,
                 candidate_probability: np.ndarray | None, learning_rate: Schedule):
        super().__init__()
        self.users, self.items, self.task, self.learning_rate = users, items, task, learning_rate
        self.log_probability = None
        if candidate_probability is not None:
            self.log_probability = tf.Variable(np.log(candidate_probability), trainable=False, dtype=tf.float32)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Mean loss over this replica's pairs; the negatives are the candidates of the global batch.

        Args:
          inputs: {"query": int32 [batch], "candidate": int32 [batch]}.
          training: accepted for TFRS; nothing here depends on it.
        """
        columns = unique_columns(inputs["candidate"])
        return self._loss(self.users.gather(inputs["query"]), self.items.gather(columns.ids), columns)

    def train_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One update of both tables; "loss" is this replica's loss before it."""
        columns = unique_columns(inputs["candidate"])
        rows = self.users.gather(inputs["query"]), self.items.gather(columns.ids)
        with tf.GradientTape() as tape:
            tape.watch(rows)
            loss = self._loss(*rows, columns)
            share = loss / tf.distribute.get_replica_context().num_replicas_in_sync
        user_gradients, item_gradients = tape.gradient(share, rows)
        learning_rate = self.learning_rate(local(self.users.step))
        self.users.apply_gradients(inputs["query"], user_gradients, learning_rate)
        self.items.apply_summed_gradients(columns.ids, sum_over_replicas(item_gradients, inputs["query"].shape[0]),
                                          learning_rate)
        return {"loss": loss}

    def test_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The loss as in ``train_step``, without an update."""
        return {"loss": self.compute_loss(inputs)}

    def _loss(self, query_rows: tf.Tensor, candidate_rows: tf.Tensor, columns: Columns) -> tf.Tensor:
        log_probability = None
        if self.log_probability is not None:
            log_probability = tf.gather(local(self.log_probability), columns.ids)
        total = self.task(query_rows, candidate_rows, columns, log_probability)
        return total / tf.cast(tf.size(columns.positive), tf.float32)


def sum_over_replicas(gradients: tf.Tensor, batch: int) -> tf.Tensor:
    """float32 [columns, dim] sum of every replica's gradients of the same columns; ``batch`` pairs on each replica."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return gradients
    # Columns vary from step to step, and collectives need one size: no batch has more columns than pairs.
    columns = tf.shape(gradients)[0]
    padded = tf.pad(gradients, [[0, context.num_replicas_in_sync * batch - columns], [0, 0]])
    padded = tf.ensure_shape(padded, [context.num_replicas_in_sync * batch, gradients.shape[1]])
    return context.all_reduce(tf.distribute.ReduceOp.SUM, padded)[:columns]
