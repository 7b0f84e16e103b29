"""What the labels of a batch cost a ranker: one cross-entropy for each head, weighed into one loss an impression."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.schema import LABEL


def hard_losses(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """float32 [...]: binary cross-entropy of labels [...] under logits [...], in nats; targets get no gradient.

    The gradient is one term, sigmoid(logits) - labels. TensorFlow's own derivation adds up several, in an order that
    moves with whatever else uses the logits, and a soft loss of weight 0 would then change the last bit.
    """

    @tf.custom_gradient
    def losses(logits: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        value = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
        return value, lambda upstream: upstream * (tf.sigmoid(logits) - labels)

    return losses(logits)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Training impressions of which a share of the negatives, by their main label, was kept.

    Attributes:
      rate: that share.
      positives: share of positives among the impressions that were kept.
    """

    rate: float
    positives: float

    @classmethod
    def of(cls, dataset: Dataset) -> Sampling | None:
        """None where all training impressions were kept."""
        split = dataset.info["splits"]["impressions/train"]
        return cls(split["negative_rate"], split["label_rate"]) if "negative_rate" in split else None

    def of_sample(self, logits: tf.Tensor) -> tf.Tensor:
        """Logits [...] of the main label in the sample, from those over all impressions.

        Dropping negatives multiplies the odds by 1 / rate. Trained under these logits, the model's own are calibrated
        as they are, without the correction afterwards of He et al., "Practical Lessons from Predicting Clicks on Ads
        at Facebook", ADKDD 2014, section 6.3.
        """
        return logits - math.log(self.rate)

    def importance(self, labels: tf.Tensor) -> tf.Tensor:
        """float32 [...]: what an impression with this main label stands for, 1 on average over the sample.

        For further heads: their labels are not what was sampled by, so no offset of the logits makes up for it.
        """
        negative = 1.0 / self.rate
        return (labels + (1.0 - labels) * negative) / (self.positives + (1.0 - self.positives) * negative)


@dataclasses.dataclass(frozen=True)
class LabelLoss:
    """The loss of all heads.

    Attributes:
      weights: label column -> weight of its head, in the order of the heads.
      sampling: of the training impressions, if any.
    """

    weights: Mapping[str, float]
    sampling: Sampling | None = None

    @classmethod
    def of(cls, config: RankingConfig, dataset: Dataset) -> LabelLoss:
        return cls({LABEL: 1.0, **config.labels}, Sampling.of(dataset))

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def __call__(self, batch: Mapping[str, tf.Tensor], logits: tf.Tensor) -> tf.Tensor:
        """float32 [batch]: weighted sum over heads of ``hard_losses`` of logits [batch, heads]."""
        labels = tf.stack([batch[name] for name in self.labels], axis=1)  # [batch, heads]
        if self.sampling is None:
            return self.weighted(hard_losses(labels, logits))
        main = hard_losses(labels[:, :1], self.sampling.of_sample(logits[:, :1]))
        further = self.sampling.importance(labels[:, :1]) * hard_losses(labels[:, 1:], logits[:, 1:])
        return self.weighted(tf.concat([main, further], axis=1))

    def weighted(self, losses: tf.Tensor) -> tf.Tensor:
        """float32 [batch]: weighted sum over heads of losses [batch, heads]."""
        return tf.reduce_sum(losses * tf.constant(list(self.weights.values()), tf.float32), axis=1)


ONE_LABEL = LabelLoss({LABEL: 1.0})
