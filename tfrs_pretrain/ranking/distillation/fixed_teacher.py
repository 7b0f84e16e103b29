"""Base class of fixed teachers, which add a column of logits to each batch.

They run in the input pipeline, so the training step has no variables of theirs.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping

import tensorflow as tf

from tfrs_pretrain.data.records import parse_threads
from tfrs_pretrain.ranking.distillation.step import TEACHER_LOGITS
from tfrs_pretrain.schema import ITEM_ID, KEY, USER_ID

_MIN_SCORE = 1e-7  # scores nearer to 0 or 1 have no finite logit in float32


class FixedTeacher(abc.ABC):
    """A teacher that is not trained.

    Attributes:
      columns: columns of the records that it reads.
    """

    columns: tuple[str, ...]

    @abc.abstractmethod
    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return float32 [batch, heads] logits for a batch with ``columns``."""

    def add_logits(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Add the logits as column ``TEACHER_LOGITS`` to each batch, and remove the identifying columns."""
        def add(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            columns = {name: values for name, values in batch.items() if name not in (KEY, USER_ID, ITEM_ID)}
            logits = tf.ensure_shape(self.logits(batch), [next(iter(columns.values())).shape[0], None])
            return columns | {TEACHER_LOGITS: logits}

        return batches.map(add, num_parallel_calls=parse_threads(), deterministic=True).prefetch(2)


def logits_from_scores(scores: tf.Tensor) -> tf.Tensor:
    """Convert probabilities [n] to logits; probabilities are clipped so that every logit is finite."""
    scores = tf.clip_by_value(scores, _MIN_SCORE, 1 - _MIN_SCORE)
    return tf.math.log(scores) - tf.math.log1p(-scores)
