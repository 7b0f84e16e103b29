"""Training step of one ranker: sparse updates of the table rows in the batch, dense Adam for the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.ranking.learning.learning_rates import Rate, keras_rate, rate_at
from tfrs_pretrain.ranking.learning.loss_scale import loss_scale, unscale, with_loss_scale
from tfrs_pretrain.ranking.learning.losses import MAIN_LABEL_LOSS, LabelLoss
from tfrs_pretrain.ranking.learning.ragged_ids import RaggedIds
from tfrs_pretrain.ranking.model.contract import accepts_unpadded_rows
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.ranking.transfer.anchor import Anchor
from tfrs_pretrain.ranking.transfer.meda import NewTables, TableGroups
from tfrs_pretrain.ranking.transfer.table_policies import DEFAULT_POLICY, TablePolicy


class StepOutput(NamedTuple):
    """Result of one training step, computed before the update.

    Attributes:
      logits: float32 [replica batch, heads].
      penalties: scalar terms of the loss besides the labels and the teacher: "anchor", the weighted anchor term, mean
        over the replica's batch; "network", the losses that the network itself adds, such as those of regularizers.
    """

    logits: tf.Tensor
    penalties: dict[str, tf.Tensor]


class Learner(tf.Module):
    """A ranker with its optimizers. Create it inside the strategy's scope; call it inside the strategy's ``run``.

    Gradients are those of the mean over the global batch: each replica divides the mean over its part of the batch by
    the number of replicas, and the tables and the dense optimizer sum over replicas.

    Args:
      ranker: the model.
      learning_rate: of the dense weights.
      table_learning_rate: of the tables, before their policies scale it.
      label_loss: the loss against the labels.
      policies: table -> how it is trained, if not by DEFAULT_POLICY.
      anchor: regularizer towards the initial rows; None for no regularization.
      meda: replacement of the tables in further epochs; None to keep the tables.
      jit_compile: compile the network's forward and backward pass with XLA; tables and losses are not compiled.

    Raises:
      ValueError: ``label_loss`` has other labels than the ranker's heads.
    """

    def __init__(self, ranker: Ranker, *, learning_rate: Rate, table_learning_rate: Rate,
                 label_loss: LabelLoss = MAIN_LABEL_LOSS, policies: Mapping[str, TablePolicy] | None = None,
                 anchor: Anchor | None = None, meda: NewTables | TableGroups | None = None,
                 jit_compile: bool = False):
        super().__init__(name="learner")
        if label_loss.labels != ranker.labels:
            raise ValueError(f"the loss has labels {label_loss.labels}, the ranker has {ranker.labels}")
        self.ranker = ranker
        self.label_loss = label_loss
        self.policies = {name: (policies or {}).get(name, DEFAULT_POLICY) for name in ranker.tables}
        self.row_scales = {name: ranker.tables[name].placement.variable(f"{name}_row_scales", policy.row_scales)
                            for name, policy in self.policies.items() if policy.row_scales is not None}
        self._table_learning_rate = table_learning_rate
        self._anchor, self._meda = anchor, meda
        self._jit_compile = jit_compile
        self._logits = tf.function(self._network_output, jit_compile=True, autograph=False) if jit_compile else (
            self._network_output)
        self.optimizer = with_loss_scale(keras.optimizers.Adam(keras_rate(learning_rate)), ranker.network)
        self.optimizer.build(ranker.network.trainable_variables)

    @property
    def steps(self) -> tf.Tensor:
        """int64 []: number of finished steps."""
        return tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int64)

    @property
    def placed_variables(self) -> tuple[PlacedVariable, ...]:
        """Everything a resumed run needs: tables with slots and steps, dense weights, the dense optimizer's state."""
        tables = [variable for table in self.ranker.tables.values() for variable in table.placed_variables]
        dense = (*self.ranker.network.variables, *self.optimizer.variables)
        cold_rows = self.ranker.cold_rows.variables if self.ranker.cold_rows is not None else ()
        return (*tables, *(self._meda.placed_variables if self._meda else ()),
                *map(PlacedVariable, (*cold_rows, *(variable.value for variable in dense))))

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """The variables of ``placed_variables``."""
        return tuple(placed.variable for placed in self.placed_variables)

    def begin_epoch(self, epoch: int) -> None:
        """Prepare the tables; call it outside of replicas before the first step of an epoch (or round), from 1."""
        if self._meda:
            self._meda.begin_epoch(epoch)

    def train_step(self, batch: Mapping[str, tf.Tensor], loss_fn: Callable[[tf.Tensor], tf.Tensor]) -> StepOutput:
        """Update the ranker once.

        Args:
          batch: columns [replica batch].
          loss_fn: maps logits [replica batch, heads] to losses [replica batch].
        """
        ragged = self._ragged_ids(batch)
        rows = self.ranker.gather(batch, {name: values.ids for name, values in ragged.items()})
        trained_rows = {row.name: rows[row.name] for row in self.ranker.inputs.rows
                        if self.policies[row.table].trainable_from is not None}
        weights = [variable.value for variable in self.ranker.network.trainable_variables]
        scale = loss_scale(self.optimizer)
        with tf.GradientTape() as tape:
            tape.watch(trained_rows)
            columns = {name: batch[name] for name in self.ranker.inputs.columns}
            logits, penalties = self._logits(self._with_dropout(rows), columns,
                                             owners={name: values.owners for name, values in ragged.items()})
            if self._anchor:
                penalties = {"anchor": tf.reduce_mean(self._anchor.losses(batch, rows)), **penalties}
            loss = with_penalties(tf.reduce_mean(loss_fn(logits)), penalties)
            loss /= tf.distribute.get_replica_context().num_replicas_in_sync
            scaled = loss if scale is None else loss * scale
        row_gradients, weight_gradients = tape.gradient(scaled, (trained_rows, weights))
        # A network may ignore an input; its table is not updated.
        row_gradients = {name: values for name, values in row_gradients.items() if values is not None}
        row_gradients, weight_gradients, finite = unscale(row_gradients, weight_gradients, scale)
        ids = {row.name: ragged[row.name].ids if row.name in ragged else tf.reshape(batch[row.column], [-1])
               for row in self.ranker.inputs.rows}
        self._update_tables(ids, row_gradients, finite)
        self.optimizer.apply(weight_gradients)
        return StepOutput(logits, penalties)

    def _network_output(self, rows: Mapping[str, tf.Tensor], columns: Mapping[str, tf.Tensor], *,
                        owners: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Return logits, and the sum of the losses that the network adds as "network", if it adds any."""
        logits = self.ranker.logits_from_rows(rows, columns, training=True, owners=owners)
        losses = self.ranker.network.losses
        return logits, {"network": tf.add_n([tf.cast(loss, tf.float32) for loss in losses])} if losses else {}

    def _ragged_ids(self, batch: Mapping[str, tf.Tensor]) -> dict[str, RaggedIds]:
        """Return the values of padded columns without padding, by input, to save the time spent on padding.

        Empty with XLA or several replicas, which need static shapes, and with a network that needs the padding. Inputs
        with dropout are left out, because dropout is drawn by position in the padded column.
        """
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        if self._jit_compile or replicas > 1 or not accepts_unpadded_rows(self.ranker.network):
            return {}
        return {row.name: RaggedIds.from_padded(batch[row.column]) for row in self.ranker.inputs.rows
                if row.length and self.policies[row.table].dropout is None}

    def _with_dropout(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Apply each table's dropout to the gathered rows."""
        dropped = dict(rows)
        for row in self.ranker.inputs.rows:
            dropout = self.policies[row.table].dropout
            if dropout is not None:
                dropped[row.name] = dropout(rows[row.name], self.steps)
        return dropped

    def _update_tables(self, ids: Mapping[str, tf.Tensor], gradients: Mapping[str, tf.Tensor],
                       finite: tf.Tensor | None) -> None:
        """Update each table once, with the gradients of all inputs that it feeds.

        Args:
          ids: input -> int64 [n], negative where padded.
          gradients: input -> float32 [n, dim], or a shape with the same number of values.
          finite: bool []; if false, no table is updated. None: all are.
        """
        rate, step = rate_at(self._table_learning_rate, self.steps), self.steps
        for name, table in self.ranker.tables.items():
            inputs = [row for row in self.ranker.inputs.rows if row.table == name and row.name in gradients]
            if not inputs:
                continue
            parts = [tf.reshape(gradients[row.name], [-1, table.dim]) for row in inputs]
            # Concatenating a single part would only copy it.
            joined = (ids[inputs[0].name], parts[0]) if len(inputs) == 1 else (
                tf.concat([ids[row.name] for row in inputs], 0), tf.concat(parts, 0))
            policy = self.policies[name]
            conditions = [finite] if finite is not None else []
            conditions += [step >= policy.trainable_from] if policy.trainable_from else []
            active = tf.reduce_all(conditions) if conditions else None
            table.apply_gradients(*joined, rate * policy.learning_rate_scale, active=active,
                                  padded=any(row.length for row in inputs), row_scales=self.row_scales.get(name))


def with_penalties(loss: tf.Tensor, penalties: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Return a loss plus the penalties of ``StepOutput``."""
    for penalty in penalties.values():
        loss += penalty
    return loss
