"""One learning step of one ranker: sparse updates for the rows of the batch, dense Adam for the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from tfrs_pretrain.ranking.learning.learning_rates import Rate, dense_rate, rate_at
from tfrs_pretrain.ranking.learning.loss_scale import loss_scale, unscaled, with_loss_scale
from tfrs_pretrain.ranking.learning.losses import ONE_LABEL, LabelLoss
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.ranking.transfer.anchor import Anchor
from tfrs_pretrain.ranking.transfer.meda import NewTables, TableGroups
from tfrs_pretrain.ranking.transfer.tables import PLAIN, TablePolicy
from tfrs_pretrain.schema import PADDING


class StepOutput(NamedTuple):
    """What a step saw before its update.

    Attributes:
      logits: float32 [replica batch, heads].
      anchor: float32 [], the weighted anchor term of this replica's part; None without an anchor.
    """

    logits: tf.Tensor
    anchor: tf.Tensor | None


class RaggedIds(NamedTuple):
    """The values of a padded column without its padding.

    Attributes:
      ids: int64 [n].
      owners: int64 [n], ascending: the impression of each.
    """

    ids: tf.Tensor
    owners: tf.Tensor

    @classmethod
    def of(cls, column: tf.Tensor) -> RaggedIds:
        """Of int64 [batch, length]."""
        places = tf.where(column != PADDING)
        return cls(tf.gather_nd(column, places), places[:, 0])


class Learner(tf.Module):
    """A ranker with its optimizers; make it and call it inside the strategy's scope and ``run``.

    Gradients are those of the mean over the global batch: each replica divides by its share times the replicas, and
    both the tables and the dense optimizer add up what the replicas computed.

    Args:
      ranker: the model.
      learning_rate: of the dense weights.
      table_learning_rate: of the tables, before their policies scale it.
      label_loss: what the labels cost, for the steps that learn from them.
      policies: how tables learn that do not simply learn.
      anchor: holds rows near where they started; None leaves them free.
      meda: new tables for further epochs; None keeps the tables.
      jit_compile: compile the network's forward and backward pass with XLA; tables and losses stay outside.

    Raises:
      ValueError: ``label_loss`` is one of other labels than the ranker's heads.
    """

    def __init__(self, ranker: Ranker, *, learning_rate: Rate, table_learning_rate: Rate,
                 label_loss: LabelLoss = ONE_LABEL, policies: Mapping[str, TablePolicy] | None = None,
                 anchor: Anchor | None = None, meda: NewTables | TableGroups | None = None,
                 jit_compile: bool = False):
        super().__init__(name="learner")
        if label_loss.labels != ranker.labels:
            raise ValueError(f"the loss is one of labels {label_loss.labels}, the ranker has {ranker.labels}")
        self.ranker = ranker
        self.label_loss = label_loss
        self.policies = {name: (policies or {}).get(name, PLAIN) for name in ranker.tables}
        self._table_learning_rate = table_learning_rate
        self._anchor, self._meda = anchor, meda
        self._jit_compile = jit_compile
        self._logits = tf.function(ranker.logits_from_rows, jit_compile=True, autograph=False) if jit_compile else (
            ranker.logits_from_rows)
        self.optimizer = with_loss_scale(keras.optimizers.Adam(dense_rate(learning_rate)), ranker.network)
        self.optimizer.build(ranker.network.trainable_variables)

    @property
    def steps(self) -> tf.Tensor:
        """int64 []: finished steps."""
        return tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int64)

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """All that a resumed run needs: tables with their slots and steps, dense weights, the optimizer's state."""
        tables = [variable for table in self.ranker.tables.values()
                  for variable in (table.weights, *table.slots.values(), table.step)]
        dense = (*self.ranker.network.variables, *self.optimizer.variables)
        return (*tables, *(self._meda.variables if self._meda else ()), *(variable.value for variable in dense))

    def begin_epoch(self, epoch: int) -> None:
        """Call it outside of replicas, before the first step of an epoch (or round), counted from 1."""
        if self._meda:
            self._meda.begin_epoch(epoch)

    def learn(self, batch: Mapping[str, tf.Tensor], losses_of: Callable[[tf.Tensor], tf.Tensor]) -> StepOutput:
        """Updates the ranker once.

        Args:
          batch: columns [replica batch].
          losses_of: maps logits [replica batch, heads] to losses [replica batch].
        """
        present = self._present(batch)
        rows = self.ranker.gather(batch, {name: each.ids for name, each in present.items()})
        learning = {row.name: rows[row.name] for row in self.ranker.inputs.rows
                    if self.policies[row.table].trainable_from is not None}
        weights = [variable.value for variable in self.ranker.network.trainable_variables]
        scale = loss_scale(self.optimizer)
        with tf.GradientTape() as tape:
            tape.watch(learning)
            read = {name: batch[name] for name in self.ranker.inputs.columns}
            logits = self._logits(self._shown(rows), read, training=True,
                                  owners={name: each.owners for name, each in present.items()})
            anchor = tf.reduce_mean(self._anchor.losses(batch, rows)) if self._anchor else None
            loss = tf.reduce_mean(losses_of(logits)) if anchor is None else tf.reduce_mean(losses_of(logits)) + anchor
            loss /= tf.distribute.get_replica_context().num_replicas_in_sync
            scaled = loss if scale is None else loss * scale
        row_gradients, weight_gradients = tape.gradient(scaled, (learning, weights))
        row_gradients, weight_gradients, finite = unscaled(row_gradients, weight_gradients, scale)
        ids = {row.name: present[row.name].ids if row.name in present else tf.reshape(batch[row.column], [-1])
               for row in self.ranker.inputs.rows}
        self._update_tables(ids, row_gradients, finite)
        self.optimizer.apply(weight_gradients)
        return StepOutput(logits, anchor)

    def _present(self, batch: Mapping[str, tf.Tensor]) -> dict[str, RaggedIds]:
        """What there is in padded columns, by input, so that no time goes into padding.

        XLA and the collectives of several replicas need fixed sizes, and dropout draws by place: there, nothing.
        """
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        if self._jit_compile or replicas > 1:
            return {}
        return {row.name: RaggedIds.of(batch[row.column]) for row in self.ranker.inputs.rows
                if row.length and self.policies[row.table].dropout is None}

    def _shown(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What the network sees of the gathered rows."""
        shown = dict(rows)
        for row in self.ranker.inputs.rows:
            dropout = self.policies[row.table].dropout
            if dropout is not None:
                shown[row.name] = dropout(rows[row.name], self.steps)
        return shown

    def _update_tables(self, ids: Mapping[str, tf.Tensor], gradients: Mapping[str, tf.Tensor],
                       finite: tf.Tensor | None) -> None:
        """One update a table, from the rows of every input that it feeds.

        Args:
          ids: input -> int64 [n], below 0 where padded.
          gradients: input -> float32, for each of these ids [dim] values.
          finite: bool []; where it is false, no table moves. None: all do.
        """
        rate, step = rate_at(self._table_learning_rate, self.steps), self.steps
        for name, table in self.ranker.tables.items():
            fed = [row for row in self.ranker.inputs.rows if row.table == name and row.name in gradients]
            if not fed:
                continue
            parts = [tf.reshape(gradients[row.name], [-1, table.dim]) for row in fed]
            # Concatenating one part would copy it for nothing.
            joined = (ids[fed[0].name], parts[0]) if len(fed) == 1 else (
                tf.concat([ids[row.name] for row in fed], 0), tf.concat(parts, 0))
            policy = self.policies[name]
            conditions = [finite] if finite is not None else []
            conditions += [step >= policy.trainable_from] if policy.trainable_from else []
            active = tf.reduce_all(conditions) if conditions else None
            table.apply_gradients(*joined, rate * policy.learning_rate_scale, active=active,
                                  padded=any(row.length for row in fed))
