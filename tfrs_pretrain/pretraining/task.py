"""The contrastive task of Stage I."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrs_pretrain.embeddings.tables import from_all_replicas
from tfrs_pretrain.pretraining.softmax import softmax_loss


class Columns(NamedTuple):
    """Distinct candidates of a global batch.

    Attributes:
      ids: int32 [columns], in order of first appearance, the same on every replica.
      counts: int32 [columns], how often each appears in the global batch.
      positive: int32 [batch], this replica's pairs -> column of their candidate.
    """

    ids: tf.Tensor
    counts: tf.Tensor
    positive: tf.Tensor


def unique_columns(candidates: tf.Tensor) -> Columns:
    """Columns of int32 [batch] candidates; with several replicas, of the candidates of all of them."""
    ids, position, counts = tf.unique_with_counts(from_all_replicas(candidates))
    context = tf.distribute.get_replica_context()
    start = context.replica_id_in_sync_group * tf.size(candidates)
    return Columns(ids, counts, position[start:start + tf.size(candidates)])


class InBatchSoftmax(tfrs.tasks.Task):
    """Sampled softmax cross-entropy in which the candidates of a batch are each other's negatives.

    A candidate that appears c times in the batch is one column whose exponentiated logit counts c times, which equals
    the batch x batch form of ``tfrs.tasks.Retrieval`` at a smaller cost. Each logit is
    ``similarity / temperature - log p``, with p the probability that a pair's candidate is this one (Yi et al.,
    "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", RecSys 2019, equation 3).

    Args:
      temperature: divides the similarity.
      normalize: L2-normalise both sides, so that the similarity is the cosine.
      remove_accidental_hits: let a pair's own candidate count once, however often the batch holds it.
    """

    def __init__(self, *, temperature: float, normalize: bool, remove_accidental_hits: bool):
        self._temperature = temperature
        self._normalize = normalize
        self._remove_accidental_hits = remove_accidental_hits

    def represent(self, rows: tf.Tensor) -> tf.Tensor:
        """float32 [n, dim] rows of a table -> vectors whose inner product is the similarity."""
        return tf.math.l2_normalize(rows, axis=1) if self._normalize else rows

    def __call__(self, query_rows: tf.Tensor, candidate_rows: tf.Tensor, columns: Columns,
                 log_probability: tf.Tensor | None) -> tf.Tensor:
        """Sum of the losses of this replica's pairs.

        Args:
          query_rows: float32 [batch, dim], table rows of the queries.
          candidate_rows: float32 [columns, dim], table rows of ``columns.ids``.
          columns: distinct candidates of the global batch.
          log_probability: float32 [columns], log sampling probability, or None for no correction.

        Returns:
          float32 scalar.
        """
        once = tf.zeros_like(columns.counts, tf.float32) if log_probability is None else -log_probability
        counted = once + tf.math.log(tf.cast(columns.counts, tf.float32))
        queries = self.represent(query_rows) / self._temperature
        candidates = self.represent(candidate_rows)
        if self._remove_accidental_hits:
            return softmax_loss(queries, candidates, counted, columns.positive, tf.gather(once, columns.positive))
        # The positive logit itself never counts its repeats, only the denominator does.
        own = tf.gather(counted, columns.positive)
        repeats = tf.reduce_sum(own - tf.gather(once, columns.positive))
        return softmax_loss(queries, candidates, counted, columns.positive, own) + repeats
