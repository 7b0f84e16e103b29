"""What requests hold: the raw inputs of a served model, and what becomes of odd ones inside the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import tensorflow as tf

from tfrs_pretrain.features.raw_input import CONTEXT, ITEM, USER, RawInput
from tfrs_pretrain.schema import ITEM_ID, Schema

Raw = Mapping[str, tf.Tensor]


def raw_inputs(schema: Schema, columns: Iterable[str]) -> dict[str, RawInput]:
    """Inputs of a served model that reads these columns of a batch, by name."""
    kinds = [schema.inputs[column] for column in columns]
    return {kind.raw_name: kind.raw_input for kind in kinds}


def checked(raw: Raw, inputs: Mapping[str, RawInput]) -> dict[str, tf.Tensor]:
    """The inputs of a batch; in the graph, INVALID_ARGUMENT names those that have another rank or length than item_id.

    The server itself compares only names and dtypes with the signature.
    """
    shaped = {name: tf.ensure_shape(raw[name], of.spec(name).shape) for name, of in inputs.items()}
    with tf.control_dependencies([_same_lengths(shaped, tuple(shaped), ())]):
        return {name: tf.identity(values) for name, values in shaped.items()}


def checked_candidates(raw: Raw, inputs: Mapping[str, RawInput]) -> dict[str, tf.Tensor]:
    """The inputs of one user's candidates: one row of the user, a row a candidate of items, either of the context."""
    shaped = {name: tf.ensure_shape(raw[name], of.spec(name, 1 if of.side == USER else None).shape)
              for name, of in inputs.items()}
    sided = {side: tuple(name for name, of in inputs.items() if of.side == side) for side in (CONTEXT, ITEM)}
    with tf.control_dependencies([_same_lengths(shaped, sided[ITEM], sided[CONTEXT])]):
        return {name: tf.identity(values) for name, values in shaped.items()}


def _same_lengths(raw: Raw, same: tuple[str, ...], one_or_same: tuple[str, ...]) -> tf.Operation:
    """Fails and names the inputs that have not as many rows as item_id (or one, where that may be)."""
    names = (*same, *one_or_same)
    lengths = tf.stack([tf.shape(raw[name])[0] for name in names])
    expected = tf.shape(raw[ITEM_ID])[0]
    fits = (lengths == expected) | (lengths == 1) & tf.constant([name in one_or_same for name in names])
    wrong = tf.where(~fits)[:, 0]
    found = tf.gather(tf.constant(names), wrong), tf.gather(lengths, wrong)
    return tf.debugging.Assert(tf.reduce_all(fits), [
        "inputs", found[0], "have", found[1], "rows, item_id has", expected], summarize=100)
