"""The distinct candidates of a global batch."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfrs_pretrain.embeddings.replicas import gather_from_replicas
from tfrs_pretrain.pretraining.logit_positions import LogitPositions


class BatchCandidates(NamedTuple):
    """Distinct candidates of a global batch, positives and negatives.

    Attributes:
      ids: int64 [candidates], the same on every replica; the negatives come first.
      counts: int64 [negatives], occurrences of each negative in the global batch and the uniform draws.
      positive: int64 [batch], position in ``ids`` of the positive of each of this replica's pairs.
      max_negatives: upper bound of the negatives in any batch, if known.
    """

    ids: tf.Tensor
    counts: tf.Tensor
    positive: tf.Tensor
    max_negatives: int | None = None

    @property
    def num_negatives(self) -> tf.Tensor:
        """int64 scalar."""
        return tf.size(self.counts, self.counts.dtype)

    def positive_hits(self) -> LogitPositions:
        """The positions of the positives that are also among the negatives."""
        queries = tf.cast(tf.where(self.positive < self.num_negatives)[:, 0], self.positive.dtype)
        return LogitPositions(queries, tf.gather(self.positive, queries))


def in_batch_candidates(candidates: tf.Tensor) -> BatchCandidates:
    """The distinct ids among int64 [batch] candidates of all replicas; each is a negative of the other pairs."""
    ids, position, counts = tf.unique_with_counts(gather_from_replicas(candidates), candidates.dtype)
    return BatchCandidates(ids, counts, replica_part(position, candidates), position.shape[0])


def replica_part(values: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """This replica's part of [global batch] values, which is as long as its own [batch] candidates."""
    start = tf.distribute.get_replica_context().replica_id_in_sync_group * tf.size(candidates)
    return values[start:start + tf.size(candidates)]
