"""The model of Stage I: two bare ID lookups and a contrastive task."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.replicas import gather_from_replicas, local_copy, sum_over_replicas
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.pretraining.negatives import Columns, KnownPositives, NegativeSampling
from tfrs_pretrain.pretraining.recommenders import tfrs
from tfrs_pretrain.pretraining.task import ContrastiveTask
from tfrs_pretrain.training.schedules import Schedule


class TwoTower(tfrs.Model):
    """Create it, and its tables, inside ``strategy.scope()``.

    Args:
      users: table of the queries.
      items: table of the candidates.
      task: the loss.
      candidate_probability: float64 [item rows], sampling probability of each candidate row, all positive; None
        leaves the logits uncorrected.
      learning_rate: of all tables, from the number of steps done.
      sampling: where the negatives come from; None takes the batch only.
      prior: float64 [item rows] to add to every logit of a candidate; None adds nothing.
      known: positives to keep out of each query's negatives; None keeps every negative.
      log_temperature: table of one value, the logarithm of a learnt temperature; None leaves the task's own.
    """

    def __init__(self, users: EmbeddingTable, items: EmbeddingTable, task: ContrastiveTask,
                 candidate_probability: np.ndarray | None, learning_rate: Schedule, *,
                 sampling: NegativeSampling | None = None, prior: np.ndarray | None = None,
                 known: KnownPositives | None = None, log_temperature: EmbeddingTable | None = None):
        super().__init__()
        self.users, self.items, self.task, self.learning_rate = users, items, task, learning_rate
        self.sampling, self.known, self.log_temperature = sampling or NegativeSampling(), known, log_temperature
        self.log_probability = _constant(None if candidate_probability is None else np.log(candidate_probability))
        self.prior = _constant(prior)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Mean loss over this replica's pairs; the negatives are the candidates of the global batch.

        Where the pairs have weights, these are first divided by their mean over the *global* batch: only their ratios
        matter, the gradient keeps the scale that it has without weights, and the mean over the replicas is the weighted
        mean of the global batch.

        Args:
          inputs: {"query": int32 [batch], "candidate": int32 [batch]} and perhaps {"weight": float32 [batch]}.
          training: accepted for TFRS; nothing here depends on it.
        """
        # One set of draws for every call, so that losses before and after a change compare.
        columns = self.sampling.columns(inputs["candidate"], tf.constant(-1, tf.int64))
        rows = self.users.gather(inputs["query"]), self.items.gather(columns.ids)
        return self._loss(inputs, *rows, columns, self._temperature_row())

    def train_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One update of all tables; "loss" is this replica's loss before it."""
        step = local_copy(self.users.step)
        columns = self.sampling.columns(inputs["candidate"], tf.identity(step))
        rows = self.users.gather(inputs["query"]), self.items.gather(columns.ids)
        temperature = self._temperature_row()
        sources = [*rows] if temperature is None else [*rows, temperature]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            loss = self._loss(inputs, *rows, columns, temperature)
            share = loss / tf.distribute.get_replica_context().num_replicas_in_sync
        user_gradients, item_gradients, *other_gradients = tape.gradient(share, sources)
        learning_rate = self.learning_rate(step)
        self.users.apply_gradients(inputs["query"], user_gradients, learning_rate)
        self.items.apply_summed_gradients(columns.ids, sum_over_replicas(item_gradients, self._max_columns(inputs)),
                                          learning_rate)
        if self.log_temperature is not None:
            self.log_temperature.apply_gradients(tf.constant([0]), other_gradients[0], learning_rate)
        return {"loss": loss}

    def test_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The loss as in ``train_step``, without an update."""
        return {"loss": self.compute_loss(inputs)}

    def query_vectors(self, ids: tf.Tensor) -> tf.Tensor:
        """float32 [n, columns] of rows int32 [n]: inner products with ``candidate_vectors`` order as the logits do."""
        vectors = self.task.represent(self.users.gather(ids))
        return vectors if self.prior is None else tf.pad(vectors, [[0, 0], [0, 1]], constant_values=1.0)

    def candidate_vectors(self, ids: tf.Tensor) -> tf.Tensor:
        """float32 [n, columns] of rows int32 [n]; a prior is the last column, in units of similarity."""
        vectors = self.task.represent(self.items.gather(ids))
        if self.prior is None:
            return vectors
        return tf.concat([vectors, self.temperature * tf.gather(local_copy(self.prior), ids)[:, None]], axis=1)

    @property
    def temperature(self) -> tf.Tensor:
        """float32 scalar: divides the similarity in a logit, as it is now."""
        row = self._temperature_row()
        return tf.constant(self.task.temperature) if row is None else tf.exp(row[0, 0])

    def _max_columns(self, inputs: dict[str, tf.Tensor]) -> int:
        """Upper bound of the distinct candidates of a global batch: one per pair and one per uniform draw."""
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return replicas * inputs["query"].shape[0] + self.sampling.uniform

    def _temperature_row(self) -> tf.Tensor | None:
        return None if self.log_temperature is None else self.log_temperature.gather(tf.constant([0]))

    def _loss(self, inputs: dict[str, tf.Tensor], query_rows: tf.Tensor, candidate_rows: tf.Tensor, columns: Columns,
              log_temperature: tf.Tensor | None) -> tf.Tensor:
        log_probability, prior = (None if values is None else tf.gather(local_copy(values), columns.ids)
                                  for values in (self.log_probability, self.prior))
        total = self.task(query_rows, candidate_rows, columns, log_probability, prior=prior,
                          temperature=None if log_temperature is None else tf.exp(log_temperature[0, 0]),
                          masked=None if self.known is None else self.known.entries(inputs["query"], columns),
                          weights=_relative(inputs["weight"]) if "weight" in inputs else None)
        return total / tf.cast(tf.size(columns.positive), tf.float32)


def _constant(values: np.ndarray | None) -> tf.Variable | None:
    return None if values is None else tf.Variable(values, trainable=False, dtype=tf.float32)


def _relative(weights: tf.Tensor) -> tf.Tensor:
    """float32 [batch] weights with mean 1 over the global batch; a batch without any weight stays without."""
    return tf.math.divide_no_nan(weights, tf.reduce_mean(gather_from_replicas(weights)))
