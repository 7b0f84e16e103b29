"""Negatives of your own: items drawn in proportion to a power of their number of engagements."""

import numpy as np
import tensorflow as tf
from pydantic import BaseModel, Field

from tfrs_pretrain.pretraining.negative_sampler import NegativeSampler


class Popular(NegativeSampler):
    """With power 1, as often as an item is engaged with; with power 0, all items alike."""

    class Settings(BaseModel):
        """What the configuration may set."""

        power: float = Field(0.75, ge=0, le=1)

    def __init__(self, power, count, seed, free, item_share):
        self.count, self._seed = count, seed
        weights = item_share ** power
        weights[free] = 0
        self._probability = weights / weights.sum()

    def draw(self, positives, step):
        """Return int64 [count] rows; equal steps draw equal rows."""
        points = tf.random.stateless_uniform([self.count], tf.stack([tf.constant(self._seed, tf.int64), step]))
        limits = tf.constant(np.cumsum(self._probability), tf.float32)
        return tf.minimum(tf.searchsorted(limits, points, "right", tf.int64), len(self._probability) - 1)

    def probability(self):
        """Return float64 [num_rows], for the correction of the logits."""
        return self._probability
