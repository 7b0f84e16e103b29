"""The negatives of a global batch: its own candidates, uniform draws, or both."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.replicas import gather_from_replicas
from tfrs_pretrain.pretraining.batch_candidates import BatchCandidates, in_batch_candidates, replica_part


@dataclasses.dataclass(frozen=True)
class NegativeSampling:
    """The source of the negatives.

    Attributes:
      in_batch: whether the candidates of the global batch are each other's negatives.
      uniform: further negatives drawn for each global batch, with replacement, from all rows of the table that are not
        free; its pairs share them.
      num_rows: rows of the candidate table.
      seed: seed of the draws.
      free: int64 [n], rows that belong to no id; None if there are none.
    """

    in_batch: bool = True
    uniform: int = 0
    num_rows: int = 0
    seed: int = 0
    free: np.ndarray | None = None

    @property
    def num_drawn(self) -> int:
        """Number of rows that uniform negatives are drawn from."""
        return self.num_rows - (0 if self.free is None else len(self.free))

    def candidates(self, positives: tf.Tensor, step: tf.Tensor) -> BatchCandidates:
        """The candidates of a global batch.

        Args:
          positives: int64 [batch], this replica's positive items.
          step: int64 scalar; the draws depend on it and on the seed only.
        """
        if not self.uniform:
            return in_batch_candidates(positives)
        batch = gather_from_replicas(positives)
        draws = tf.random.stateless_uniform([self.uniform], tf.stack([tf.constant(self.seed, tf.int64), step]),
                                            maxval=self.num_drawn, dtype=tf.int32)
        draws = tf.cast(draws, positives.dtype)
        if self.free is not None and len(self.free):
            draws = tf.gather(tf.constant(np.delete(np.arange(self.num_rows), self.free), positives.dtype), draws)
        if self.in_batch:
            ids, position, counts = tf.unique_with_counts(tf.concat([batch, draws], axis=0), positives.dtype)
            return BatchCandidates(ids, counts, replica_part(position, positives), position.shape[0])
        ids, position = tf.unique(tf.concat([draws, batch], axis=0), positives.dtype)
        # The drawn ids are the first of ``ids``, in the same order. A count by bins would not be reproducible on a GPU.
        counts = tf.unique_with_counts(draws, positives.dtype).count
        return BatchCandidates(ids, counts, replica_part(position[self.uniform:], positives), self.uniform)

    def probability(self, positives: np.ndarray, batch: int) -> np.ndarray:
        """float64 [num_rows]: probability that one negative of a global batch is this row; no meaning at free rows.

        With both sources it is the mixture in which each has its share of the negatives (Yang et al., "Mixed Negative
        Sampling for Learning Two-tower Neural Networks in Recommendations", WWW 2020, section 4.2).

        Args:
          positives: float64 [num_rows], probability that the positive of a pair is this row.
          batch: pairs in a global batch.
        """
        if not self.uniform:
            return positives
        share = batch / (batch + self.uniform) if self.in_batch else 0.0
        return share * positives + (1.0 - share) / self.num_drawn
