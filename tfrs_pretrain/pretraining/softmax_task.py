"""The common part of the softmax losses: similarity and temperature."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch, ContrastiveTask


class Similarities(NamedTuple):
    """Vectors whose inner products are similarities over the temperature.

    Attributes:
      queries: float32 [batch, dim], divided by the temperature.
      candidates: float32 [candidates, dim].
      positive: float32 [batch], inner products of the pairs.
    """

    queries: tf.Tensor
    candidates: tf.Tensor
    positive: tf.Tensor


class SoftmaxTask(ContrastiveTask):
    """A loss with logits.

    Args:
      temperature: divides the similarity.
      normalize: L2-normalise both sides, so that the similarity is the cosine.
    """

    def __init__(self, *, temperature: float, normalize: bool):
        self.temperature, self._normalize = temperature, normalize

    def represent(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.math.l2_normalize(rows, axis=1) if self._normalize else rows

    def _similarities(self, batch: ContrastiveBatch) -> Similarities:
        temperature = self.temperature if batch.temperature is None else batch.temperature
        queries = self.represent(batch.query_rows) / temperature
        candidates = self.represent(batch.candidate_rows)
        positive = tf.reduce_sum(queries * tf.gather(candidates, batch.candidates.positive), axis=1)
        return Similarities(queries, candidates, positive)
