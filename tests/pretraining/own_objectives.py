"""Losses and samplers of a user's own for tests: each with one mistake."""

import numpy as np
import tensorflow as tf

import tfrs_pretrain as tp
from tfrs_pretrain.pretraining.negative_sampler import NegativeSampler


class Dot(tp.ContrastiveTask):
    """The negative similarity of the pairs plus that of the negatives: a correct loss without masking."""

    def __init__(self, normalize=True):
        self.normalize = normalize

    def represent(self, rows):
        return tf.math.l2_normalize(rows, axis=1) if self.normalize else rows

    def losses(self, batch):
        queries, vectors = self.represent(batch.query_rows), self.represent(batch.candidate_rows)
        return tf.reduce_sum(tf.matmul(queries, vectors, transpose_b=True), axis=1)

    def __call__(self, batch):
        return batch.weighted_sum(self.losses(batch))


class NoLoss:
    pass


class Vector(Dot):
    def __call__(self, batch):
        return self.losses(batch)


class NotFinite(Dot):
    def __call__(self, batch):
        return super().__call__(batch) + tf.math.log(-1.0)


class Constant(Dot):
    def losses(self, batch):
        return tf.reduce_sum(tf.stop_gradient(self.represent(batch.query_rows)), axis=1)


class IgnoresCandidates(Dot):
    def losses(self, batch):
        return tf.reduce_sum(self.represent(batch.query_rows), axis=1)


class IgnoresWeights(Dot):
    def __call__(self, batch):
        return tf.reduce_sum(self.losses(batch))


class Unscaled(Dot):
    def represent(self, rows):
        return 2.0 * rows


class Raises(Dot):
    def losses(self, batch):
        return batch.logits


class Draws(NegativeSampler):
    def __init__(self, count, num_rows):
        self.count, self.num_rows = count, num_rows

    def draw(self, positives, step):
        return tf.range(self.count) % self.num_rows

    def probability(self):
        return np.full(self.num_rows, 1 / self.num_rows)


class NoProbability(Draws):
    def probability(self):
        return None


class WrongProbability(Draws):
    def probability(self):
        return np.full(self.num_rows, 1.0)


class ShortProbability(Draws):
    def probability(self):
        return np.ones(1)


class OtherCount(Draws):
    def __init__(self, num_rows):
        super().__init__(3, num_rows)


class Floats(Draws):
    def draw(self, positives, step):
        return tf.zeros([self.count])


class TooMany(Draws):
    def draw(self, positives, step):
        return tf.range(self.count + 1)


class OutOfRange(Draws):
    def draw(self, positives, step):
        return tf.fill([self.count], self.num_rows)


class Stateful(Draws):
    def draw(self, positives, step):
        return tf.random.uniform([self.count], maxval=self.num_rows, dtype=tf.int32)


class RaisesInDraw(Draws):
    def draw(self, positives, step):
        raise KeyError("rows")


