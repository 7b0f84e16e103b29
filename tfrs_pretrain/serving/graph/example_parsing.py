"""Parsing of serialized tf.Examples inside the graph."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.value_types import MISSING, missing_value


def parse_examples(serialized: tf.Tensor, inputs: Mapping[str, RawInput]) -> dict[str, tf.Tensor]:
    """Parses tf.Examples whose features have the names of the inputs.

    The two ids are required; other missing features get the missing value ("", -1, NaN, or an empty list).

    Args:
      serialized: string [batch].
      inputs: inputs of the model.

    Returns:
      Raw inputs [batch], or lists [batch, at most length].

    Raises:
      tf.errors.InvalidArgumentError: when the graph runs, bytes are no tf.Example, or a feature has another dtype or
        number of values.
    """
    parsed = tf.io.parse_example(tf.ensure_shape(serialized, [None]),
                                 {name: _feature(spec) for name, spec in inputs.items()})
    return {name: _padded(parsed[name], spec.length, latest=spec.latest) if spec.length else parsed[name]
            for name, spec in inputs.items()}


def _feature(spec: RawInput) -> tf.io.FixedLenFeature | tf.io.RaggedFeature:
    dtype = tf.as_dtype(spec.dtype)
    if spec.length:
        return tf.io.RaggedFeature(dtype)
    return tf.io.FixedLenFeature([], dtype, None if spec.required else missing_value(spec.dtype))


def _padded(lists: tf.RaggedTensor, length: int, *, latest: bool) -> tf.Tensor:
    """Truncates lists before padding, so that one very long list does not make all rows of the tensor as long."""
    missing = MISSING[lists.dtype.name]
    present = tf.ragged.boolean_mask(lists, lists != missing)
    return (present[:, -length:] if latest else present[:, :length]).to_tensor(missing)
