"""Sampled softmax with negatives of any distribution."""

from __future__ import annotations

import tensorflow as tf

from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch
from tfrs_pretrain.pretraining.uniform_softmax import UniformSoftmax


class SampledSoftmax(UniformSoftmax):
    """Softmax cross-entropy of each pair against draws that do not include the items of the batch.

    As in ``UniformSoftmax``, the draws represent the whole corpus: over n draws the denominator is ``exp(positive) +
    sum(exp(negative) / p) / n``, where p is the probability that a draw is this row. Without probabilities, every
    negative counts as if p were ``1 / num_rows``.
    """

    def _bias(self, batch: ContrastiveBatch, counts: tf.Tensor) -> tf.Tensor:
        bias = tf.math.log(counts) - tf.math.log(tf.reduce_sum(counts))
        if batch.log_probability is None:
            return bias + tf.math.log(float(self._num_rows))
        return bias - batch.log_probability[:batch.candidates.num_negatives]
