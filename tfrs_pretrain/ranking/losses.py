"""What the labels of a batch cost a ranker: one cross-entropy for each head, weighed into one loss an impression."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
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
class LabelLoss:
    """The loss of all heads.

    Attributes:
      weights: label column -> weight of its head, in the order of the heads.
    """

    weights: Mapping[str, float]

    @classmethod
    def of(cls, config: RankingConfig) -> LabelLoss:
        return cls({LABEL: 1.0, **config.labels})

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def __call__(self, batch: Mapping[str, tf.Tensor], logits: tf.Tensor) -> tf.Tensor:
        """float32 [batch]: weighted sum over heads of ``hard_losses`` of logits [batch, heads]."""
        labels = tf.stack([batch[name] for name in self.labels], axis=1)  # [batch, heads]
        return self.weighted(hard_losses(labels, logits))

    def weighted(self, losses: tf.Tensor) -> tf.Tensor:
        """float32 [batch]: weighted sum over heads of losses [batch, heads]."""
        return tf.reduce_sum(losses * tf.constant(list(self.weights.values()), tf.float32), axis=1)


ONE_LABEL = LabelLoss({LABEL: 1.0})
