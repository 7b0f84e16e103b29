"""The cosine contrastive loss."""

from __future__ import annotations

import tensorflow as tf

from tfrs_pretrain.pretraining.chunked_loss import ChunkLoss, chunked_loss
from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch, ContrastiveTask
from tfrs_pretrain.pretraining.logit_positions import LogitPositions


class CosineContrastive(ContrastiveTask):
    """``1 - cos(positive) + weight * mean(max(0, cos(negative) - margin))`` over uniformly drawn negatives.

    The cosine contrastive loss of Mao et al., "SimpleX: A Simple and Strong Baseline for Collaborative Filtering",
    CIKM 2021, arXiv 2109.12613, equation 1. Here the pairs of a batch share their negatives, and a pair's own candidate
    costs nothing if it is drawn.

    Args:
      margin: cosine up to which a negative costs nothing.
      negative_weight: weight of the mean over the negatives.
    """

    def __init__(self, *, margin: float, negative_weight: float):
        self._margin, self._negative_weight = margin, negative_weight

    def represent(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.math.l2_normalize(rows, axis=1)

    def __call__(self, batch: ContrastiveBatch) -> tf.Tensor:
        candidates = batch.candidates
        queries, vectors = self.represent(batch.query_rows), self.represent(batch.candidate_rows)
        cosine = tf.reduce_sum(queries * tf.gather(vectors, candidates.positive), axis=1)
        counts = tf.cast(candidates.counts, tf.float32)
        negative_loss = hinge_loss(queries, vectors[:candidates.num_negatives],
                                   self._negative_weight * counts / tf.reduce_sum(counts), self._margin,
                                   batch.mask_also(candidates.positive_hits()), batch.weights,
                                   candidates.max_negatives)
        return batch.weighted_sum(1.0 - cosine) + negative_loss


def hinge_loss(queries: tf.Tensor, negatives: tf.Tensor, costs: tf.Tensor, margin: float, masked: LogitPositions,
               weights: tf.Tensor | None = None, max_negatives: int | None = None) -> tf.Tensor:
    """Sum over queries and negatives of ``costs * max(0, queries @ negatives.T - margin)``.

    Args:
      queries: float32 [batch, dim].
      negatives: float32 [negatives, dim].
      costs: float32 [negatives]; carries no gradient.
      margin: similarity up to which a negative costs nothing.
      masked: positions to leave out.
      weights: float32 [batch], weights of the queries' losses, 1 if None.
      max_negatives: upper bound of the negatives in any batch, if known.

    Returns:
      float32 scalar.
    """
    def chunk_loss(products: tf.Tensor, chunk: slice, unused: tf.Tensor) -> ChunkLoss:
        positions = masked.within(chunk)
        excess = tf.nn.relu(products - margin)                                            # [chunk, negatives]
        excess = tf.tensor_scatter_nd_update(excess, positions, tf.zeros([tf.shape(positions)[0]]))
        return ChunkLoss(tf.reduce_sum(excess * costs, axis=1), tf.where(excess > 0.0, costs, 0.0),
                         tf.ones_like(unused), tf.zeros_like(unused))

    return chunked_loss(queries, negatives, tf.zeros_like(queries[:, 0]), chunk_loss, weights,
                        max_negatives=max_negatives)
