"""What requests hold: the raw inputs of a served model, and what becomes of odd ones inside the graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import tensorflow as tf

from tfrs_pretrain.schema import HISTORY, ITEM_ID, ITEM_ROW, USER_ID, USER_ROW, Schema
from tfrs_pretrain.vocabulary import MISSING

USER, CONTEXT, ITEM = "user", "context", "item"

Raw = Mapping[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class RawInput:
    """One input: raw values [batch], or lists [batch, any length] in which missing values are padding.

    Attributes:
      dtype: "int64", "string" or "float32".
      length: values of a list that count, of a history the latest, of other lists the first; None: one value.
      side: whose value it is when one user's candidates are ranked: "user", "context" (the user's or each
        candidate's) or "item".
    """

    dtype: str
    length: int | None = None
    side: str = ITEM

    def spec(self, name: str, rows: int | None = None) -> tf.TensorSpec:
        """Of a request with this many rows (None: any number)."""
        return tf.TensorSpec([rows, None] if self.length else [rows], tf.as_dtype(self.dtype), name)


def raw_inputs(schema: Schema, columns: Iterable[str]) -> dict[str, RawInput]:
    """Inputs of a served model that reads these columns of a batch, by name."""
    sides = {"users": USER, "impressions": CONTEXT, "items": ITEM}
    known = {USER_ID: RawInput(schema.user.dtype, side=USER), ITEM_ID: RawInput(schema.item.dtype, side=ITEM)}
    known |= {f.name: RawInput(f.dtype, f.max_values, sides[f.source]) for f in schema.features}
    if schema.history:
        known[HISTORY] = RawInput(schema.item.dtype, schema.history.length, USER)
    return {raw_name(column): known[raw_name(column)] for column in columns}


def raw_name(column: str) -> str:
    """Name of the input that a column of a batch is made from."""
    return {USER_ROW: USER_ID, ITEM_ROW: ITEM_ID}.get(column, column)


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


def kept(values: tf.Tensor, length: int, *, latest: bool) -> tf.Tensor:
    """[batch, at most length] of lists [batch, any]: the latest, or the first, values that are not missing.

    Lists that are no longer come back as they are, padding wherever it stood.
    """
    def shortened() -> tf.Tensor:
        present = tf.cast(values != MISSING[values.dtype.name], tf.int32)
        # A stable sort by presence: all padding to the end that is cut off, the rest in order.
        order = tf.argsort(present if latest else -present, axis=1, stable=True)
        order = order[:, -length:] if latest else order[:, :length]
        return tf.gather(values, order, axis=1, batch_dims=1)

    cut = tf.cond(tf.shape(values)[1] > length, shortened, lambda: values)
    return tf.ensure_shape(cut, [values.shape[0], None])


def finite(values: tf.Tensor) -> tf.Tensor:
    """float32 [batch] with NaN, the missing value, for what is infinite, as in the dataset's records."""
    return tf.where(tf.math.is_finite(values), values, tf.constant(float("nan")))


def is_latest(name: str) -> bool:
    """Whether an over-long list keeps its latest values, not its first."""
    return name == HISTORY
