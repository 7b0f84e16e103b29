"""Sampled softmax with in-batch negatives."""

from __future__ import annotations

import tensorflow as tf

from tfrs_pretrain.pretraining.batch_candidates import BatchCandidates
from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch
from tfrs_pretrain.pretraining.logit_positions import LogitPositions
from tfrs_pretrain.pretraining.softmax_loss import softmax_loss
from tfrs_pretrain.pretraining.softmax_task import SoftmaxTask


class InBatchSoftmax(SoftmaxTask):
    """Sampled softmax cross-entropy in which the candidates of a batch are each other's negatives.

    A candidate that occurs c times in the batch is one negative whose exponentiated logit counts c times. This equals
    the batch x batch form of ``tfrs.tasks.Retrieval`` at a lower cost. Each logit is
    ``similarity / temperature - log p``, where p is the probability that the candidate of a pair is this one (Yi et
    al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", RecSys 2019, equation 4 with
    the correction above it, weights being its rewards; equation 3 without).

    The refined correction takes into account that the positive is present for certain and not sampled (Khrylchenko et
    al., "Correcting the LogQ Correction", RecSys 2025, arXiv 2507.09331, the weighted loss of section 3.3). With n
    negatives other than the positive, drawn with probabilities Q'(d) = p(d) / (1 - p(positive)), the denominator is
    ``exp(positive) + sum(exp(negative) / Q') / n``. Its gradient is that of their weighted loss, in which a softmax
    over the negatives alone is scaled by 1 - P(positive) held constant; the value is the cross-entropy itself.

    Args:
      temperature: divides the similarity.
      normalize: L2-normalise both sides, so that the similarity is the cosine.
      remove_accidental_hits: count a pair's own candidate once, even if it occurs in other pairs of the batch.
      refined: use the refined correction, which always removes accidental hits.
    """

    def __init__(self, *, temperature: float, normalize: bool, remove_accidental_hits: bool, refined: bool = False):
        super().__init__(temperature=temperature, normalize=normalize)
        self._remove_accidental_hits = remove_accidental_hits
        self._refined = refined

    def __call__(self, batch: ContrastiveBatch) -> tf.Tensor:
        candidates = batch.candidates
        correction = (tf.zeros_like(candidates.counts, tf.float32) if batch.log_probability is None
                      else -batch.log_probability)                                        # [candidates]
        bias = correction + tf.math.log(tf.cast(candidates.counts, tf.float32))
        if batch.prior is not None:
            bias += batch.prior
        similarities = self._similarities(batch)
        positive = similarities.positive
        if batch.prior is not None:
            positive += tf.gather(batch.prior, candidates.positive)
        positive += (_refined_correction(candidates, correction) if self._refined
                     else tf.gather(correction, candidates.positive))
        masked = batch.mask_also(LogitPositions(tf.range(tf.size(candidates.positive, candidates.positive.dtype)),
                                                candidates.positive))
        if self._remove_accidental_hits:
            return softmax_loss(similarities.queries, similarities.candidates, bias, positive, masked, batch.weights,
                                candidates.max_negatives)
        # Occurrences of the positive in other pairs count in the denominator, not in the positive logit.
        repeats = tf.math.log(tf.cast(tf.gather(candidates.counts, candidates.positive), tf.float32))
        loss = softmax_loss(similarities.queries, similarities.candidates, bias, positive + repeats, masked,
                            batch.weights, candidates.max_negatives)
        return loss + batch.weighted_sum(repeats)


def _refined_correction(candidates: BatchCandidates, correction: tf.Tensor) -> tf.Tensor:
    """float32 [batch]: log(n / (1 - p)) of each pair's positive, where ``correction`` is -log p [candidates]."""
    others = tf.reduce_sum(candidates.counts) - tf.gather(candidates.counts, candidates.positive)
    other_probability = -tf.math.expm1(-tf.gather(correction, candidates.positive))
    return tf.math.log(tf.maximum(tf.cast(others, tf.float32), 1.0)) - tf.math.log(other_probability)
