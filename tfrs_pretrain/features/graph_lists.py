"""Lists of raw values inside a TensorFlow graph: shortened, then mapped to rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfrs_pretrain.columns import PADDING
from tfrs_pretrain.value_types import MISSING

if TYPE_CHECKING:
    import tensorflow as tf


def rows_of_lists(raw: tf.Tensor, length: int, lookup: Callable[[Any], Any], *, latest: bool = False) -> tf.Tensor:
    """int64 [batch, at most length] rows of raw lists [batch, any length], padding where a value is missing."""
    import tensorflow as tf  # noqa: PLC0415

    raw = shorten_lists(raw, length, latest=latest)
    rows = tf.reshape(lookup(tf.reshape(raw, [-1])), tf.shape(raw))
    return tf.where(raw == MISSING[raw.dtype.name], tf.constant(PADDING, tf.int64), rows)


def shorten_lists(values: tf.Tensor, length: int, *, latest: bool) -> tf.Tensor:
    """[batch, at most length] of lists [batch, any]: the latest, or the first, values that are not missing.

    Lists that are not longer are returned unchanged, with padding wherever it was.
    """
    import tensorflow as tf  # noqa: PLC0415

    def shortened() -> tf.Tensor:
        present = tf.cast(values != MISSING[values.dtype.name], tf.int32)
        # A stable sort by presence: all padding to the end that is cut off, the rest in order.
        order = tf.argsort(present if latest else -present, axis=1, stable=True)
        order = order[:, -length:] if latest else order[:, :length]
        return tf.gather(values, order, axis=1, batch_dims=1)

    cut = tf.cond(tf.shape(values)[1] > length, shortened, lambda: values)
    return tf.ensure_shape(cut, [values.shape[0], None])
