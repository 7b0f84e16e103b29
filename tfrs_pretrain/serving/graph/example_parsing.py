"""Serialized tf.Examples -> raw inputs, inside the graph."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.value_types import MISSING, missing_value


def parse_examples(serialized: tf.Tensor, inputs: Mapping[str, RawInput]) -> dict[str, tf.Tensor]:
    """Raw inputs [batch] and lists [batch, at most length] of tf.Examples [batch] with features of the same names.

    The two ids must be there; what else is left out takes the missing value ("", -1, NaN, no values). In the graph,
    bytes that are no tf.Example, and features of another type or number of values, are INVALID_ARGUMENT.
    """
    parsed = tf.io.parse_example(tf.ensure_shape(serialized, [None]),
                                 {name: _feature(of) for name, of in inputs.items()})
    return {name: _padded(parsed[name], of.length, latest=of.latest) if of.length else parsed[name]
            for name, of in inputs.items()}


def _feature(of: RawInput) -> tf.io.FixedLenFeature | tf.io.RaggedFeature:
    dtype = tf.as_dtype(of.dtype)
    if of.length:
        return tf.io.RaggedFeature(dtype)
    return tf.io.FixedLenFeature([], dtype, None if of.required else missing_value(of.dtype))


def _padded(lists: tf.RaggedTensor, length: int, *, latest: bool) -> tf.Tensor:
    """Cut before they are padded: one endless list must not make a tensor of endless rows."""
    missing = MISSING[lists.dtype.name]
    present = tf.ragged.boolean_mask(lists, lists != missing)
    return (present[:, -length:] if latest else present[:, :length]).to_tensor(missing)
