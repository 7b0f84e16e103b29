"""The contrastive tasks of Stage I."""

from __future__ import annotations

import abc

import tensorflow as tf

from tfrs_pretrain.pretraining.chunked import Entries
from tfrs_pretrain.pretraining.cosine_contrastive import hinge_loss
from tfrs_pretrain.pretraining.negatives import Columns, merge_entries, own_hits, unique_columns
from tfrs_pretrain.pretraining.recommenders import tfrs
from tfrs_pretrain.pretraining.softmax import softmax_loss

__all__ = ["ContrastiveTask", "CosineContrastive", "InBatchSoftmax", "UniformSoftmax", "unique_columns"]


class ContrastiveTask(tfrs.tasks.Task, abc.ABC):
    """A loss of pairs against the negatives of their global batch.

    Attributes:
      temperature: divides the similarity in a logit, unless it is learnt; 1 where there are no logits.
    """

    temperature = 1.0

    @abc.abstractmethod
    def represent(self, rows: tf.Tensor) -> tf.Tensor:
        """float32 [n, dim] rows of a table -> vectors whose inner product is the similarity."""

    @abc.abstractmethod
    def __call__(self, query_rows: tf.Tensor, candidate_rows: tf.Tensor, columns: Columns,
                 log_probability: tf.Tensor | None, *, prior: tf.Tensor | None = None,
                 temperature: tf.Tensor | None = None, masked: Entries | None = None,
                 weights: tf.Tensor | None = None) -> tf.Tensor:
        """Sum of the losses of this replica's pairs, each times its weight.

        Args:
          query_rows: float32 [batch, dim], table rows of the queries.
          candidate_rows: float32 [columns, dim], table rows of ``columns.ids``.
          columns: distinct candidates of the global batch.
          log_probability: float32 [columns], log sampling probability, or None for no correction.
          prior: float32 [columns] to add to the logits of each candidate, as a positive and as a negative alike; a
            correction applies on top. A loss without logits takes no notice.
          temperature: scalar in place of the fixed one, where it is learnt.
          masked: negatives to leave out, none of them a pair's own candidate.
          weights: float32 [batch], each 1 where None. They weigh a pair as a positive only: as a negative its candidate
            counts in full, because corrections describe how often it is drawn.

        Returns:
          float32 scalar.
        """


class _Softmax(ContrastiveTask):
    """What the losses with logits have in common.

    Args:
      temperature: divides the similarity.
      normalize: L2-normalise both sides, so that the similarity is the cosine.
    """

    def __init__(self, *, temperature: float, normalize: bool):
        self.temperature, self._normalize = temperature, normalize

    def represent(self, rows: tf.Tensor) -> tf.Tensor:
        """float32 [n, dim] rows of a table -> vectors whose inner product is the similarity."""
        return tf.math.l2_normalize(rows, axis=1) if self._normalize else rows

    def _similarity(self, query_rows: tf.Tensor, candidate_rows: tf.Tensor, columns: Columns,
                    temperature: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Queries over the temperature, candidates, and float32 [batch] logits of the pairs from these alone."""
        queries = self.represent(query_rows) / (self.temperature if temperature is None else temperature)
        candidates = self.represent(candidate_rows)
        return queries, candidates, tf.reduce_sum(queries * tf.gather(candidates, columns.positive), axis=1)


class InBatchSoftmax(_Softmax):
    """Sampled softmax cross-entropy in which the candidates of a batch are each other's negatives.

    A candidate that appears c times in the batch is one column whose exponentiated logit counts c times, which equals
    the batch x batch form of ``tfrs.tasks.Retrieval`` at a smaller cost. Each logit is
    ``similarity / temperature - log p``, with p the probability that a pair's candidate is this one (Yi et al.,
    "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", RecSys 2019, equation 4 with the
    correction above it, weights being its rewards; equation 3 without).

    The refined correction treats the positive as what it is, present for certain and not sampled (Khrylchenko et al.,
    "Correcting the LogQ Correction", RecSys 2025, arXiv 2507.09331, the weighted loss of section 3.3): with n negatives
    other than the positive, drawn with probabilities Q'(d) = p(d) / (1 - p(positive)), the denominator is
    ``exp(positive) + sum(exp(negative) / Q') / n``. Its gradient is that of their weighted loss, in which a softmax
    over the negatives alone is scaled by 1 - P(positive) held constant; the value is the cross-entropy itself.

    Args:
      temperature: divides the similarity.
      normalize: L2-normalise both sides, so that the similarity is the cosine.
      remove_accidental_hits: let a pair's own candidate count once, however often the batch holds it.
      refined: correct as Khrylchenko et al. do; accidental hits are then always removed.
    """

    def __init__(self, *, temperature: float, normalize: bool, remove_accidental_hits: bool, refined: bool = False):
        super().__init__(temperature=temperature, normalize=normalize)
        self._remove_accidental_hits = remove_accidental_hits
        self._refined = refined

    def __call__(self, query_rows: tf.Tensor, candidate_rows: tf.Tensor, columns: Columns,
                 log_probability: tf.Tensor | None, *, prior: tf.Tensor | None = None,
                 temperature: tf.Tensor | None = None, masked: Entries | None = None,
                 weights: tf.Tensor | None = None) -> tf.Tensor:
        once = tf.zeros_like(columns.counts, tf.float32) if log_probability is None else -log_probability
        counted = once + tf.math.log(tf.cast(columns.counts, tf.float32))
        if prior is not None:
            counted += prior
        queries, candidates, own = self._similarity(query_rows, candidate_rows, columns, temperature)
        if prior is not None:
            own += tf.gather(prior, columns.positive)
        own += self._certain(columns, once) if self._refined else tf.gather(once, columns.positive)
        itself = Entries(tf.range(tf.size(columns.positive)), columns.positive)
        others = itself if masked is None else merge_entries(itself, masked)
        if self._remove_accidental_hits:
            return softmax_loss(queries, candidates, counted, own, others, weights, columns.most)
        # The positive logit itself never counts its repeats, only the denominator does.
        repeats = tf.math.log(tf.cast(tf.gather(columns.counts, columns.positive), tf.float32))
        loss = softmax_loss(queries, candidates, counted, own + repeats, others, weights, columns.most)
        return loss + _sum(repeats, weights)

    @staticmethod
    def _certain(columns: Columns, once: tf.Tensor) -> tf.Tensor:
        """float32 [batch]: log(n / (1 - p)) of each pair's own candidate; other logits carry -log p."""
        others = tf.reduce_sum(columns.counts) - tf.gather(columns.counts, columns.positive)
        other_probability = -tf.math.expm1(-tf.gather(once, columns.positive))
        return tf.math.log(tf.maximum(tf.cast(others, tf.float32), 1.0)) - tf.math.log(other_probability)


class UniformSoftmax(_Softmax):
    """Softmax cross-entropy of each pair against negatives drawn uniformly from the corpus, shared by the batch.

    The negatives stand for the whole corpus, the positive for itself: the denominator is
    ``exp(positive) + rows / n * sum(exp(negative))`` over n draws. With the pair's own candidate left out of the draws
    it estimates the full softmax without bias in the denominator, which is the refined correction of ``InBatchSoftmax``
    for a uniform distribution.

    Args:
      temperature: divides the similarity.
      normalize: L2-normalise both sides.
      rows: rows of the candidate table.
    """

    def __init__(self, *, temperature: float, normalize: bool, rows: int):
        super().__init__(temperature=temperature, normalize=normalize)
        self._rows = rows

    def __call__(self, query_rows: tf.Tensor, candidate_rows: tf.Tensor, columns: Columns,
                 log_probability: tf.Tensor | None, *, prior: tf.Tensor | None = None,
                 temperature: tf.Tensor | None = None, masked: Entries | None = None,
                 weights: tf.Tensor | None = None) -> tf.Tensor:
        queries, candidates, own = self._similarity(query_rows, candidate_rows, columns, temperature)
        counts = tf.cast(columns.counts, tf.float32)
        bias = tf.math.log(counts) + tf.math.log(self._rows / tf.reduce_sum(counts))
        if prior is not None:
            own += tf.gather(prior, columns.positive)
            bias += prior[:tf.size(columns.counts)]
        hits = own_hits(columns)
        return softmax_loss(queries, candidates[:tf.size(columns.counts)], bias, own,
                            hits if masked is None else merge_entries(hits, masked), weights, columns.most)


class CosineContrastive(ContrastiveTask):
    """``1 - cos(positive) + weight * mean(max(0, cos(negative) - margin))`` over uniformly drawn negatives.

    The cosine contrastive loss of Mao et al., "SimpleX: A Simple and Strong Baseline for Collaborative Filtering",
    CIKM 2021, arXiv 2109.12613, equation 1; here the pairs of a batch share their negatives, and a pair's own
    candidate costs nothing where it is drawn.

    Args:
      margin: cosine up to which a negative costs nothing.
      negative_weight: of the mean over the negatives.
    """

    def __init__(self, *, margin: float, negative_weight: float):
        self._margin, self._negative_weight = margin, negative_weight

    def represent(self, rows: tf.Tensor) -> tf.Tensor:
        """float32 [n, dim] rows of a table -> vectors of length 1."""
        return tf.math.l2_normalize(rows, axis=1)

    def __call__(self, query_rows: tf.Tensor, candidate_rows: tf.Tensor, columns: Columns,
                 log_probability: tf.Tensor | None, *, prior: tf.Tensor | None = None,
                 temperature: tf.Tensor | None = None, masked: Entries | None = None,
                 weights: tf.Tensor | None = None) -> tf.Tensor:
        queries, candidates = self.represent(query_rows), self.represent(candidate_rows)
        own = tf.reduce_sum(queries * tf.gather(candidates, columns.positive), axis=1)
        counts = tf.cast(columns.counts, tf.float32)
        hits = own_hits(columns)
        over = hinge_loss(queries, candidates[:tf.size(columns.counts)],
                          self._negative_weight * counts / tf.reduce_sum(counts), self._margin,
                          hits if masked is None else merge_entries(hits, masked), weights, columns.most)
        return _sum(1.0 - own, weights) + over


def _sum(losses: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    return tf.reduce_sum(losses if weights is None else weights * losses)
