"""The negatives of a global batch: its own candidates, draws of a sampler, or both."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.replicas import gather_from_replicas
from tfrs_pretrain.pretraining.batch_candidates import BatchCandidates, in_batch_candidates, replica_part
from tfrs_pretrain.pretraining.negative_sampler import NegativeSampler


@dataclasses.dataclass(frozen=True)
class NegativeSampling:
    """The source of the negatives.

    Attributes:
      in_batch: whether the candidates of the global batch are each other's negatives.
      sampler: of further negatives for each global batch, which its pairs share; None draws none.
    """

    in_batch: bool = True
    sampler: NegativeSampler | None = None

    @property
    def num_draws(self) -> int:
        """Number of draws for each global batch."""
        return self.sampler.count if self.sampler else 0

    def candidates(self, positives: tf.Tensor, step: tf.Tensor) -> BatchCandidates:
        """The candidates of a global batch.

        Args:
          positives: int64 [batch], this replica's positive items.
          step: int64 scalar; the draws depend on it.
        """
        if self.sampler is None:
            return in_batch_candidates(positives)
        batch = gather_from_replicas(positives)
        draws = tf.ensure_shape(tf.cast(self.sampler.draw(batch, step), positives.dtype), [self.num_draws])
        if self.in_batch:
            ids, position, counts = tf.unique_with_counts(tf.concat([batch, draws], axis=0), positives.dtype)
            return BatchCandidates(ids, counts, replica_part(position, positives), position.shape[0])
        ids, position = tf.unique(tf.concat([draws, batch], axis=0), positives.dtype)
        # The drawn ids are the first of ``ids``, in the same order. A count by bins would not be reproducible on a GPU.
        counts = tf.unique_with_counts(draws, positives.dtype).count
        return BatchCandidates(ids, counts, replica_part(position[self.num_draws:], positives), self.num_draws)

    def probability(self, positives: np.ndarray, batch: int) -> np.ndarray | None:
        """float64 [num_rows]: probability that one negative of a global batch is this row; no meaning at free rows.

        None if the sampler states none. With both sources it is the mixture in which each has its share of the
        negatives (Yang et al., "Mixed Negative Sampling for Learning Two-tower Neural Networks in Recommendations",
        WWW 2020, section 4.2).

        Args:
          positives: float64 [num_rows], probability that the positive of a pair is this row.
          batch: pairs in a global batch.
        """
        if self.sampler is None:
            return positives
        drawn = self.sampler.probability()
        if drawn is None:
            return None
        share = batch / (batch + self.num_draws) if self.in_batch else 0.0
        return share * positives + (1.0 - share) * drawn
