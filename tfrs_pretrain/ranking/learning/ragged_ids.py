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
        flat = tf.reshape(column, [-1])
        positions = tf.where(flat != PADDING)[:, 0]  # gathering int64 by pairs of indices would need the host
        return cls(tf.gather(flat, positions), positions // column.shape[1])
