"""A loss of your own for Stage I: Bayesian personalized ranking (Rendle et al., UAI 2009, arXiv 1205.2618)."""

import tensorflow as tf
from pydantic import BaseModel, Field

import tfrs_pretrain as tp


class Pairwise(tp.ContrastiveTask):
    """``mean(softplus((negative - positive) / temperature))`` over the negatives of each pair."""

    class Settings(BaseModel):
        """What the configuration may set; checked before anything is trained, and recorded with its defaults."""

        temperature: float = Field(0.2, gt=0)

    def __init__(self, temperature, normalize):
        self.temperature, self.normalize = temperature, normalize

    def represent(self, rows):
        """Rows [n, dim] as they are compared: their inner product is the similarity."""
        return tf.math.l2_normalize(rows, axis=1) if self.normalize else rows

    def __call__(self, batch):
        """Return the sum of the pairs' losses, each times its weight."""
        candidates = batch.candidates
        queries = self.represent(batch.query_rows) / self.temperature                     # [batch, dim]
        vectors = self.represent(batch.candidate_rows)                                    # [candidates, dim]
        positive = tf.reduce_sum(queries * tf.gather(vectors, candidates.positive), axis=1)
        negative = tf.matmul(queries, vectors[:candidates.num_negatives], transpose_b=True)
        losses = tf.nn.softplus(negative - positive[:, None])                             # [batch, negatives]
        counts = tf.cast(candidates.counts, tf.float32) * tf.ones_like(losses)
        without = batch.mask_also(candidates.positive_hits())  # the pair's own item, and items that the user knows
        places = tf.stack([without.queries, without.negatives], axis=1)
        counts = tf.tensor_scatter_nd_update(counts, places, tf.zeros_like(without.queries, tf.float32))
        total = tf.reduce_sum(counts, axis=1)
        return batch.weighted_sum(tf.math.divide_no_nan(tf.reduce_sum(counts * losses, axis=1), total))
