"""Loss of a ranker against the labels of a batch: one cross-entropy for each head, summed with weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.schema import LABEL


def hard_losses(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Compute the binary cross-entropy of each logit in nats; labels receive no gradient.

    The gradient is the single term sigmoid(logits) - labels. TensorFlow's own gradient adds several terms in an order
    that depends on what else uses the logits, so that a soft loss of weight 0 would change the last bit.

    Args:
      labels: float32 [...] in [0, 1].
      logits: float32 [...].

    Returns:
      float32 [...].
    """

    @tf.custom_gradient
    def losses(logits: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        value = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
        return value, lambda upstream: upstream * (tf.sigmoid(logits) - labels)

    return losses(logits)


@dataclasses.dataclass(frozen=True)
class NegativeSampling:
    """Downsampling of the training impressions whose main label is 0.

    Attributes:
      rate: share of the negatives that was retained.
      positives: share of positives among the retained impressions.
    """

    rate: float
    positives: float

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> NegativeSampling | None:
        """Read the sampling of the training impressions; None if all were retained."""
        split = dataset.info["splits"]["impressions/train"]
        return cls(split["negative_rate"], split["label_rate"]) if "negative_rate" in split else None

    def sample_logits(self, logits: tf.Tensor) -> tf.Tensor:
        """Convert logits [...] of the main label over all impressions to logits in the sample.

        Dropping negatives multiplies the odds by 1 / rate. A model trained with these logits is calibrated as it is,
        without the later correction of He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", ADKDD
        2014, section 6.3.
        """
        return logits - math.log(self.rate)

    def importance(self, labels: tf.Tensor) -> tf.Tensor:
        """Return float32 [...] importance weights of impressions with these main labels, with mean 1 in the sample.

        They are for the further heads: sampling did not depend on their labels, so no logit offset corrects it.
        """
        negative = 1.0 / self.rate
        return (labels + (1.0 - labels) * negative) / (self.positives + (1.0 - self.positives) * negative)


@dataclasses.dataclass(frozen=True)
class LabelLoss:
    """Weighted loss of all heads.

    Attributes:
      weights: label column -> weight of its head, in the order of the heads.
      sampling: of the training impressions; None if all were retained.
    """

    weights: Mapping[str, float]
    sampling: NegativeSampling | None = None

    @classmethod
    def from_config(cls, config: RankingConfig, dataset: Dataset) -> LabelLoss:
        """Combine the configured weights with the dataset's sampling; the main label has weight 1."""
        return cls({LABEL: 1.0, **config.labels}, NegativeSampling.from_dataset(dataset))

    @property
    def labels(self) -> tuple[str, ...]:
        """Label columns in the order of the heads, the main one first."""
        return tuple(self.weights)

    def __call__(self, batch: Mapping[str, tf.Tensor], logits: tf.Tensor) -> tf.Tensor:
        """Return float32 [batch]: ``hard_losses`` of logits [batch, heads], summed over heads with weights."""
        labels = tf.stack([batch[name] for name in self.labels], axis=1)  # [batch, heads]
        if self.sampling is None:
            return self.weighted_sum(hard_losses(labels, logits))
        main = hard_losses(labels[:, :1], self.sampling.sample_logits(logits[:, :1]))
        further = self.sampling.importance(labels[:, :1]) * hard_losses(labels[:, 1:], logits[:, 1:])
        return self.weighted_sum(tf.concat([main, further], axis=1))

    def weighted_sum(self, losses: tf.Tensor) -> tf.Tensor:
        """Return float32 [batch], the weighted sum over heads of losses [batch, heads]."""
        return tf.reduce_sum(losses * tf.constant(list(self.weights.values()), tf.float32), axis=1)


MAIN_LABEL_LOSS = LabelLoss({LABEL: 1.0})
