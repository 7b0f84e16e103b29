"""The contrastive loss of Stage I: its interface and its input.

The losses: ``in_batch_softmax``, ``uniform_softmax`` and ``cosine_contrastive``; ``objective`` selects the configured
one.
"""

from __future__ import annotations

import abc
import dataclasses

import tensorflow as tf

from tfrs_pretrain.pretraining.batch_candidates import BatchCandidates
from tfrs_pretrain.pretraining.logit_positions import LogitPositions
from tfrs_pretrain.pretraining.recommenders import tfrs


@dataclasses.dataclass(frozen=True)
class ContrastiveBatch:
    """The input of a contrastive loss: this replica's pairs and the candidates of the global batch.

    Attributes:
      query_rows: float32 [batch, dim], table rows of the queries.
      candidate_rows: float32 [candidates, dim], table rows of ``candidates.ids``.
      candidates: distinct candidates of the global batch.
      log_probability: float32 [candidates], log sampling probability; None for no correction.
      prior: float32 [candidates], added to the logits of each candidate, as a positive and as a negative alike, before
        the correction. A loss without logits ignores it.
      temperature: scalar that replaces the fixed temperature, if it is learnt.
      masked: negatives to leave out, none of them a pair's own positive.
      weights: float32 [batch], weight of each pair's loss, 1 if None. As a negative, a pair's candidate counts in full
        whatever the pair's weight, because corrections describe how often it is drawn.
    """

    query_rows: tf.Tensor
    candidate_rows: tf.Tensor
    candidates: BatchCandidates
    log_probability: tf.Tensor | None = None
    prior: tf.Tensor | None = None
    temperature: tf.Tensor | None = None
    masked: LogitPositions | None = None
    weights: tf.Tensor | None = None

    def mask_also(self, positions: LogitPositions) -> LogitPositions:
        """``masked`` together with further positions."""
        return positions if self.masked is None else positions.merged(self.masked)

    def weighted_sum(self, losses: tf.Tensor) -> tf.Tensor:
        """Sum of float32 [batch] losses, each times its pair's weight."""
        return tf.reduce_sum(losses if self.weights is None else self.weights * losses)


class ContrastiveTask(tfrs.tasks.Task, abc.ABC):
    """A loss of pairs against the negatives of their global batch.

    Attributes:
      temperature: divides the similarity in a logit, unless it is learnt; 1 for losses without logits.
    """

    temperature = 1.0

    @abc.abstractmethod
    def represent(self, rows: tf.Tensor) -> tf.Tensor:
        """Turn float32 [n, dim] table rows into vectors whose inner product is the similarity."""

    @abc.abstractmethod
    def __call__(self, batch: ContrastiveBatch) -> tf.Tensor:
        """float32 scalar: sum of the losses of this replica's pairs, each times its weight."""
