"""Padded id columns without their padding."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfrs_pretrain.schema import PADDING


class RaggedIds(NamedTuple):
    """Values of a padded column without its padding.

    Attributes:
      ids: int64 [n].
      owners: int64 [n], ascending: index of each value's impression in the batch.
    """

    ids: tf.Tensor
    owners: tf.Tensor

    @classmethod
    def from_padded(cls, column: tf.Tensor) -> RaggedIds:
        """Drop the padding of an int64 [batch, length] column."""
        positions = tf.where(column != PADDING)
        owners = positions[:, 0]
        # Not tf.gather_nd, which has no kernel for int64 on GPUs.
        return cls(tf.gather(tf.reshape(column, [-1]), owners * column.shape[1] + positions[:, 1]), owners)
