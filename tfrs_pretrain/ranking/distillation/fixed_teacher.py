"""What every teacher that does not learn is: one more column beside each batch.

It runs in the input pipeline, so the training step has no more variables than without it.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping

import tensorflow as tf

from tfrs_pretrain.ranking.distillation.step import TEACHER_LOGITS
from tfrs_pretrain.schema import ITEM_ID, KEY, USER_ID

_CERTAIN = 1e-7  # scores nearer to 0 or 1 have no finite logit in float32


class FixedTeacher(abc.ABC):
    """What a teacher says about impressions.

    Attributes:
      columns: of the impressions' records that it reads.
    """

    columns: tuple[str, ...]

    @abc.abstractmethod
    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """float32 [batch, heads] of a batch with ``columns``."""

    def beside(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """The batches, with the teacher's logits as column ``TEACHER_LOGITS`` and without the identifying columns."""
        def add(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            kept = {name: values for name, values in batch.items() if name not in (KEY, USER_ID, ITEM_ID)}
            logits = tf.ensure_shape(self.logits(batch), [next(iter(kept.values())).shape[0], None])
            return kept | {TEACHER_LOGITS: logits}

        return batches.map(add, num_parallel_calls=2, deterministic=True).prefetch(2)


def logits_of(scores: tf.Tensor) -> tf.Tensor:
    """Logits of probabilities [n], the certain ones held to a finite value."""
    scores = tf.clip_by_value(scores, _CERTAIN, 1 - _CERTAIN)
    return tf.math.log(scores) - tf.math.log1p(-scores)
