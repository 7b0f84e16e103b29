"""Sampled softmax with negatives of any distribution."""

from __future__ import annotations

import tensorflow as tf

from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch
from tfrs_pretrain.pretraining.softmax_loss import softmax_loss
from tfrs_pretrain.pretraining.softmax_task import SoftmaxTask


class SampledSoftmax(SoftmaxTask):
    """Softmax cross-entropy of each pair against draws that do not include the items of the batch.

    As in ``UniformSoftmax``, the draws represent the whole corpus: over n draws the denominator is ``exp(positive) +
    sum(exp(negative) / p) / n``, where p is the probability that a draw is this row. Without probabilities, every
    negative counts as if p were ``1 / num_rows``.

    Args:
      temperature: divides the similarity.
      normalize: L2-normalise both sides, so that the similarity is the cosine.
      num_rows: rows of the candidate table that may be drawn.
    """

    def __init__(self, *, temperature: float, normalize: bool, num_rows: int):
        super().__init__(temperature=temperature, normalize=normalize)
        self._num_rows = num_rows

    def __call__(self, batch: ContrastiveBatch) -> tf.Tensor:
        candidates = batch.candidates
        similarities = self._similarities(batch)
        positive = similarities.positive
        counts = tf.cast(candidates.counts, tf.float32)
        bias = tf.math.log(counts) - tf.math.log(tf.reduce_sum(counts))
        if batch.log_probability is None:
            bias += tf.math.log(float(self._num_rows))
        else:
            bias -= batch.log_probability[:candidates.num_negatives]
        if batch.prior is not None:
            positive += tf.gather(batch.prior, candidates.positive)
            bias += batch.prior[:candidates.num_negatives]
        return softmax_loss(similarities.queries, similarities.candidates[:candidates.num_negatives], bias, positive,
                            batch.mask_also(candidates.positive_hits()), batch.weights, candidates.max_negatives)
