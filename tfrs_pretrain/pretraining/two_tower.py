"""The model of Stage I: two bare ID lookups and a contrastive loss."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.embeddings.replicas import gather_from_replicas, local_copy, sum_over_replicas
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.pretraining.batch_candidates import BatchCandidates
from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch, ContrastiveTask
from tfrs_pretrain.pretraining.known_positives import KnownPositives
from tfrs_pretrain.pretraining.negative_sampling import NegativeSampling
from tfrs_pretrain.pretraining.recommenders import tfrs
from tfrs_pretrain.training.schedules import Schedule

_EVALUATION_STEP = -1  # seeds the draws of a loss without an update; training steps start at 0


class TwoTower(tfrs.Model):
    """User and item table with a contrastive loss. Create it, and its tables, inside ``strategy.scope()``.

    A batch is {"query": integer [batch], "candidate": integer [batch]}, the rows of each pair, and optionally
    {"weight": float32 [batch]}. The negatives are the candidates of the *global* batch.

    Args:
      users: table of the queries.
      items: table of the candidates.
      task: the loss.
      candidate_probability: float64 [num_items], sampling probability of each candidate row, all positive; None for no
        correction of the logits.
      learning_rate: schedule of all tables.
      sampling: source of the negatives; None for those of the batch only.
      prior: float64 [num_items], added to every logit of a candidate; None for no prior.
      known: positives to remove from each query's negatives; None removes none.
      log_temperature: table with one value, the logarithm of a learnt temperature; None for the task's fixed one.
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
        """Mean loss over this replica's pairs.

        Weights are first divided by their mean over the *global* batch: only their ratios matter, the gradient keeps
        its scale, and the mean over the replicas is the weighted mean of the global batch.

        Draws are the same in every call, so that losses before and after a change are comparable.

        Args:
          inputs: a batch.
          training: required by TFRS; ignored.
        """
        inputs = _wide(inputs)
        candidates = self.sampling.candidates(inputs["candidate"], tf.constant(_EVALUATION_STEP, tf.int64))
        rows = self._rows(inputs, candidates)
        return self._loss(inputs, *rows, candidates, self._temperature_row())

    def train_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update all tables once; "loss" is this replica's loss before the update."""
        inputs = _wide(inputs)
        step = local_copy(self.users.step)
        candidates = self.sampling.candidates(inputs["candidate"], tf.identity(step))
        rows = self._rows(inputs, candidates)
        temperature = self._temperature_row()
        sources = [*rows] if temperature is None else [*rows, temperature]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            loss = self._loss(inputs, *rows, candidates, temperature)
            # The tables sum the replicas' gradients; the loss of the global batch is the replicas' mean.
            share = loss / tf.distribute.get_replica_context().num_replicas_in_sync
        user_gradients, item_gradients, *other_gradients = tape.gradient(share, sources)
        learning_rate = self.learning_rate(step)
        self.users.apply_gradients(inputs["query"], user_gradients, learning_rate)
        item_gradients = sum_over_replicas(item_gradients, self._max_candidates(inputs))
        self.items.apply_summed_gradients(candidates.ids, item_gradients, learning_rate)
        if self.log_temperature is not None:
            self.log_temperature.apply_gradients(tf.constant([0]), other_gradients[0], learning_rate)
        return {"loss": loss}

    def test_step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The loss, without an update."""
        return {"loss": self.compute_loss(inputs)}

    def query_vectors(self, ids: tf.Tensor) -> tf.Tensor:
        """float32 [n, width] of rows int32 [n]; inner products with ``candidate_vectors`` rank as the logits do."""
        vectors = self.task.represent(self.users.gather(ids))
        return vectors if self.prior is None else tf.pad(vectors, [[0, 0], [0, 1]], constant_values=1.0)

    def candidate_vectors(self, ids: tf.Tensor) -> tf.Tensor:
        """float32 [n, width] of rows int32 [n]; the last column is the prior, if any, in units of similarity."""
        vectors = self.task.represent(self.items.gather(ids))
        if self.prior is None:
            return vectors
        return tf.concat([vectors, self.temperature * tf.gather(local_copy(self.prior), ids)[:, None]], axis=1)

    @property
    def placed_variables(self) -> tuple[PlacedVariable, ...]:
        """Everything that training changes."""
        tables = (self.users, self.items, self.log_temperature)
        return tuple(variable for table in tables if table is not None for variable in table.placed_variables)

    @property
    def temperature(self) -> tf.Tensor:
        """float32 scalar: the current divisor of the similarity in a logit."""
        row = self._temperature_row()
        return tf.constant(self.task.temperature) if row is None else tf.exp(row[0, 0])

    def _rows(self, inputs: dict[str, tf.Tensor], candidates: BatchCandidates) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [batch, dim] of the queries and [candidates, dim] of the candidates."""
        return (self.users.gather(inputs["query"]),
                self.items.gather_shared(candidates.ids, self._max_candidates(inputs)))

    def _max_candidates(self, inputs: dict[str, tf.Tensor]) -> int | None:
        """Upper bound of the distinct candidates of a global batch: one per pair and one per draw.

        None if the batch has no static size.
        """
        replicas, batch = tf.distribute.get_replica_context().num_replicas_in_sync, inputs["query"].shape[0]
        return None if batch is None else int(replicas * batch + self.sampling.num_draws)

    def _temperature_row(self) -> tf.Tensor | None:
        return None if self.log_temperature is None else self.log_temperature.gather(tf.constant([0]))

    def _loss(self, inputs: dict[str, tf.Tensor], query_rows: tf.Tensor, candidate_rows: tf.Tensor,
              candidates: BatchCandidates, log_temperature: tf.Tensor | None) -> tf.Tensor:
        log_probability, prior = (None if values is None else tf.gather(local_copy(values), candidates.ids)
                                  for values in (self.log_probability, self.prior))
        total = self.task(ContrastiveBatch(
            query_rows, candidate_rows, candidates, log_probability, prior,
            temperature=None if log_temperature is None else tf.exp(log_temperature[0, 0]),
            masked=None if self.known is None else self.known.positions(inputs["query"], candidates),
            weights=_relative(inputs["weight"]) if "weight" in inputs else None))
        return total / tf.cast(tf.size(candidates.positive), tf.float32)


def _wide(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """A batch with rows of 64 bits: TensorFlow keeps tensors of int32 in the host's memory where there is a GPU."""
    return {name: tf.cast(column, tf.int64) if column.dtype == tf.int32 else column for name, column in inputs.items()}


def _constant(values: np.ndarray | None) -> tf.Variable | None:
    return None if values is None else tf.Variable(values, trainable=False, dtype=tf.float32)


def _relative(weights: tf.Tensor) -> tf.Tensor:
    """float32 [batch] weights divided by their mean over the global batch; all zeros stay zeros."""
    return tf.math.divide_no_nan(weights, tf.reduce_mean(gather_from_replicas(weights)))
