"""Sampled softmax with uniform negatives."""

from __future__ import annotations

import tensorflow as tf

from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch
from tfrs_pretrain.pretraining.softmax_loss import softmax_loss
from tfrs_pretrain.pretraining.softmax_task import SoftmaxTask


class UniformSoftmax(SoftmaxTask):
    """Softmax cross-entropy of each pair against negatives drawn uniformly from the corpus, shared by the batch.

    The negatives represent the whole corpus and the positive itself: the denominator is
    ``exp(positive) + num_rows / n * sum(exp(negative))`` over n draws. With the pair's own candidate removed from the
    draws, it is an unbiased estimate of the full softmax's denominator, as the refined correction of ``InBatchSoftmax``
    is for other distributions.

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
        bias = self._bias(batch, tf.cast(candidates.counts, tf.float32))
        if batch.prior is not None:
            positive += tf.gather(batch.prior, candidates.positive)
            bias += batch.prior[:candidates.num_negatives]
        return softmax_loss(similarities.queries, similarities.candidates[:candidates.num_negatives], bias, positive,
                            batch.mask_also(candidates.positive_hits()), batch.weights, candidates.max_negatives)

    def _bias(self, batch: ContrastiveBatch, counts: tf.Tensor) -> tf.Tensor:
        """float32 [negatives]: logarithm of the weight of each negative in the denominator, from float32 counts."""
        del batch
        return tf.math.log(counts) + tf.math.log(self._num_rows / tf.reduce_sum(counts))
