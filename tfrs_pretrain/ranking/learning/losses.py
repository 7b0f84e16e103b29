"""Loss of a ranker against the labels of a batch: one cross-entropy for each head, summed with weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import LABEL, WEIGHT


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
      positives: share of positives, and of impressions without a main label, among the retained impressions.
    """

    rate: float
    positives: float

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> NegativeSampling | None:
        """Read the sampling of the training impressions; None if all were retained."""
        split = dataset.info["splits"]["impressions/train"]
        if "negative_rate" not in split:
            return None
        missing = split.get("missing_label_share", {}).get(LABEL, 0.0)
        return cls(split["negative_rate"], split["label_rate"] * (1 - missing) + missing)

    def sample_logits(self, logits: tf.Tensor) -> tf.Tensor:
        """Convert logits [...] of the main label over all impressions to logits in the sample.

        Dropping negatives multiplies the odds by 1 / rate. A model trained with these logits is calibrated as it is,
        without the later correction of He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", ADKDD
        2014, section 6.3.
        """
        return logits - math.log(self.rate)

    def importance(self, labels: tf.Tensor) -> tf.Tensor:
        """Return float32 [...] importance weights of impressions with these main labels, with mean 1 in the sample.

        Impressions without a main label were all retained, so for them pass 1, as for positives.
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
      optional: label columns in which NaN is a missing label.
      mean_weight: mean weight of the training impressions, which becomes 1; None if they have no weights.
    """

    weights: Mapping[str, float]
    sampling: NegativeSampling | None = None
    optional: frozenset[str] = frozenset()
    mean_weight: float | None = None

    @classmethod
    def from_config(cls, config: RankingConfig, dataset: Dataset) -> LabelLoss:
        """Combine the weights of the labels, 1 for the main one, with the dataset's sampling and weights.

        Raises:
          UserError: no training impression has a weight above 0.
        """
        weights = {LABEL: 1.0, **config.labels}
        optional = frozenset(dataset.schema.optional_label_columns) & weights.keys()
        return cls(weights, NegativeSampling.from_dataset(dataset), optional, _mean_weight(dataset))

    @property
    def labels(self) -> tuple[str, ...]:
        """Label columns in the order of the heads, the main one first."""
        return tuple(self.weights)

    def __call__(self, batch: Mapping[str, tf.Tensor], logits: tf.Tensor) -> tf.Tensor:
        """Return float32 [batch]: ``hard_losses`` of logits [batch, heads], summed by ``reduce_heads``."""
        labels = self._stack(batch)
        if self.optional:
            labels = tf.where(tf.math.is_nan(labels), 1.0, labels)  # any number: its loss is masked
        if self.sampling is None:
            return self.reduce_heads(batch, hard_losses(labels, logits))
        main = hard_losses(labels[:, :1], self.sampling.sample_logits(logits[:, :1]))
        further = self.sampling.importance(labels[:, :1]) * hard_losses(labels[:, 1:], logits[:, 1:])
        return self.reduce_heads(batch, tf.concat([main, further], axis=1))

    def reduce_heads(self, batch: Mapping[str, tf.Tensor], losses: tf.Tensor) -> tf.Tensor:
        """Return float32 [batch], the weighted sum over heads of losses [batch, heads]; 0 where a label is missing.

        The mean over a batch then divides by all of its impressions. So each label that is present has the same weight
        in every batch, with any number of replicas, and a batch without any has loss 0. The same holds for weights of
        impressions, divided by their mean over the training impressions: weights that are all 1 change no bit.
        """
        if self.optional:
            losses = tf.where(tf.math.is_nan(self._stack(batch)), 0.0, losses)
        summed = tf.reduce_sum(losses * tf.constant(list(self.weights.values()), tf.float32), axis=1)
        return summed if self.mean_weight is None else summed * (batch[WEIGHT] / self.mean_weight)

    def _stack(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.stack([batch[name] for name in self.labels], axis=1)  # [batch, heads]


def _mean_weight(dataset: Dataset) -> float | None:
    if not dataset.schema.has_weights:
        return None
    mean = float(dataset.info["splits"]["impressions/train"]["weight_mean"])
    if not mean > 0:
        raise UserError(f"all training impressions of {str(dataset.folder)!r} have weight 0, so none can be learned "
                        "from: correct the column of schema.impression_weight, and build the dataset again")
    return mean


MAIN_LABEL_LOSS = LabelLoss({LABEL: 1.0})
