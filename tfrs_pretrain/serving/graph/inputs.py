"""Raw inputs of a served model, and their validation inside the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import tensorflow as tf

from tfrs_pretrain.features.raw_input import CONTEXT, ITEM, USER, RawInput
from tfrs_pretrain.schema import ITEM_ID, Schema

Raw = Mapping[str, tf.Tensor]  # input name -> raw values


def raw_inputs(schema: Schema, columns: Iterable[str]) -> dict[str, RawInput]:
    """Returns the inputs of a served model by name.

    Args:
      schema: schema of the dataset.
      columns: columns of a batch that the ranker reads.
    """
    kinds = [schema.inputs[column] for column in columns]
    return {kind.raw_name: kind.raw_input for kind in kinds}


def validated(raw: Raw, inputs: Mapping[str, RawInput]) -> dict[str, tf.Tensor]:
    """Returns the inputs of a batch after checks in the graph, because the server compares only names and dtypes.

    Raises:
      tf.errors.InvalidArgumentError: when the graph runs, an input has another rank or length than expected.
    """
    shaped = {name: tf.ensure_shape(raw[name], spec.spec(name).shape) for name, spec in inputs.items()}
    with tf.control_dependencies([_assert_lengths(shaped, tuple(shaped), ())]):
        return {name: tf.identity(values) for name, values in shaped.items()}


def validated_candidates(raw: Raw, inputs: Mapping[str, RawInput]) -> dict[str, tf.Tensor]:
    """Returns the inputs of one user's N candidates after checks in the graph.

    User inputs must have one row, item inputs N rows, context inputs either.

    Raises:
      tf.errors.InvalidArgumentError: when the graph runs, an input has another rank or length.
    """
    shaped = {name: tf.ensure_shape(raw[name], spec.spec(name, 1 if spec.side == USER else None).shape)
              for name, spec in inputs.items()}
    by_side = {side: tuple(name for name, spec in inputs.items() if spec.side == side) for side in (CONTEXT, ITEM)}
    with tf.control_dependencies([_assert_lengths(shaped, by_side[ITEM], by_side[CONTEXT])]):
        return {name: tf.identity(values) for name, values in shaped.items()}


def _assert_lengths(raw: Raw, same: tuple[str, ...], one_or_same: tuple[str, ...]) -> tf.Operation:
    """Asserts that inputs have as many rows as item_id, or one for ``one_or_same``; the message names the others."""
    names = (*same, *one_or_same)
    lengths = tf.stack([tf.shape(raw[name])[0] for name in names])
    expected = tf.shape(raw[ITEM_ID])[0]
    valid = (lengths == expected) | (lengths == 1) & tf.constant([name in one_or_same for name in names])
    invalid = tf.where(~valid)[:, 0]
    return tf.debugging.Assert(tf.reduce_all(valid), [
        "inputs", tf.gather(tf.constant(names), invalid), "have", tf.gather(lengths, invalid), "rows, item_id has",
        expected], summarize=100)
