"""One learning step of one ranker: sparse updates for the rows of the batch, dense Adam for the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from tfrs_pretrain.ranking.losses import ONE_LABEL, LabelLoss
from tfrs_pretrain.ranking.ranker import Ranker


class Learner(tf.Module):
    """A ranker with its optimizers; make it and call it inside the strategy's scope and ``run``.

    Gradients are those of the mean over the global batch: each replica divides by its share times the replicas, and
    both the tables and the dense optimizer add up what the replicas computed.

    Args:
      ranker: the model.
      learning_rate: of the dense weights.
      table_learning_rates: of each table.
      label_loss: what the labels cost, for the steps that learn from them.

    Raises:
      ValueError: ``label_loss`` is one of other labels than the ranker's heads.
    """

    def __init__(self, ranker: Ranker, *, learning_rate: float, table_learning_rates: Mapping[str, float],
                 label_loss: LabelLoss = ONE_LABEL):
        super().__init__(name="learner")
        if label_loss.labels != ranker.labels:
            raise ValueError(f"the loss is one of labels {label_loss.labels}, the ranker has {ranker.labels}")
        self.ranker = ranker
        self.label_loss = label_loss
        self.table_learning_rates = dict(table_learning_rates)
        self.optimizer = keras.optimizers.Adam(learning_rate)
        self.optimizer.build(ranker.network.trainable_variables)

    @property
    def steps(self) -> tf.Tensor:
        """int64 []: finished steps."""
        return tf.convert_to_tensor(self.optimizer.iterations)

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """All that a resumed run needs: tables with their slots and steps, dense weights, the optimizer's state."""
        tables = [variable for table in self.ranker.tables.values()
                  for variable in (table.weights, *table.slots.values(), table.step)]
        dense = (*self.ranker.network.variables, *self.optimizer.variables)
        return (*tables, *(variable.value for variable in dense))

    def learn(self, batch: Mapping[str, tf.Tensor], losses_of: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """Updates the ranker once.

        Args:
          batch: columns [replica batch].
          losses_of: maps logits [replica batch, heads] to losses [replica batch].

        Returns:
          float32 [replica batch, heads] logits from before the update.
        """
        rows = self.ranker.gather(batch)
        weights = [variable.value for variable in self.ranker.network.trainable_variables]
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        with tf.GradientTape() as tape:
            tape.watch(rows)
            logits = self.ranker.logits_from_rows(rows, batch, training=True)
            loss = tf.reduce_mean(losses_of(logits)) / replicas
        row_gradients, weight_gradients = tape.gradient(loss, (rows, weights))
        self._update_tables(batch, row_gradients)
        self.optimizer.apply(weight_gradients)
        return logits

    def _update_tables(self, batch: Mapping[str, tf.Tensor], gradients: Mapping[str, tf.Tensor]) -> None:
        """One update a table, from the gradients [batch, dim] or [batch, length, dim] of every input that it feeds."""
        for name, table in self.ranker.tables.items():
            fed = [row for row in self.ranker.inputs.rows if row.table == name]
            ids = [tf.reshape(batch[row.column], [-1]) for row in fed]
            parts = [tf.reshape(gradients[row.name], [-1, table.dim]) for row in fed]
            # Concatenating one part would copy it for nothing.
            joined = (ids[0], parts[0]) if len(fed) == 1 else (tf.concat(ids, 0), tf.concat(parts, 0))
            table.apply_gradients(*joined, self.table_learning_rates[name], padded=any(row.length for row in fed))
