"""Serialized tf.Examples -> raw inputs, inside the graph."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfrs_pretrain.schema import ITEM_ID, USER_ID
from tfrs_pretrain.serving.graph.inputs import RawInput, is_latest
from tfrs_pretrain.vocabulary import MISSING


def parse_examples(serialized: tf.Tensor, inputs: Mapping[str, RawInput]) -> dict[str, tf.Tensor]:
    """Raw inputs [batch] and lists [batch, at most length] of tf.Examples [batch] with features of the same names.

    The two ids must be there; what else is left out takes the missing value ("", -1, NaN, no values). In the graph,
    bytes that are no tf.Example, and features of another type or number of values, are INVALID_ARGUMENT.
    """
    parsed = tf.io.parse_example(tf.ensure_shape(serialized, [None]),
                                 {name: _feature(name, of) for name, of in inputs.items()})
    return {name: _padded(parsed[name], of.length, latest=is_latest(name)) if of.length else parsed[name]
            for name, of in inputs.items()}


def _feature(name: str, of: RawInput) -> tf.io.FixedLenFeature | tf.io.RaggedFeature:
    dtype = tf.as_dtype(of.dtype)
    if of.length:
        return tf.io.RaggedFeature(dtype)
    if name in (USER_ID, ITEM_ID):
        return tf.io.FixedLenFeature([], dtype)
    return tf.io.FixedLenFeature([], dtype, MISSING.get(of.dtype, float("nan")))


def _padded(lists: tf.RaggedTensor, length: int, *, latest: bool) -> tf.Tensor:
    """Cut before they are padded: one endless list must not make a tensor of endless rows."""
    missing = MISSING[lists.dtype.name]
    present = tf.ragged.boolean_mask(lists, lists != missing)
    return (present[:, -length:] if latest else present[:, :length]).to_tensor(missing)
