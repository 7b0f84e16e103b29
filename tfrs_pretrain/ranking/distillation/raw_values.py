"""Raw values of an impression from its record, as a served model takes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.schema import HISTORY, ITEM_ID, ITEM_ROW, PADDING, USER_ID
from tfrs_pretrain.vocabulary import ARROW_TYPES, MISSING, Vocabulary


class RawValues:
    """Raw ids and features by the name of a served model's input.

    The two ids and the numeric features lie in the record as they came. Of other values, also those of lists, the
    record has the row: an admitted value is found again; a value that shares its row with others is replaced by one
    that shares it too, which the same vocabulary cannot tell apart. Padding becomes the missing value.

    Args:
      dataset: the records' schema and vocabularies.
      names: inputs to make; those that the records do not hold are left out of ``names``.
    """

    def __init__(self, dataset: Dataset, names: list[str]):
        schema = dataset.schema
        vocabularies = {feature.name: feature.name for feature in schema.features if feature.kind != "numeric"}
        vocabularies |= {HISTORY: ITEM_ROW} if schema.history else {}
        plain = {USER_ID, ITEM_ID, *(feature.name for feature in schema.of_kind("numeric", privileged=True))}
        self.names = tuple(name for name in names if name in vocabularies or name in plain)
        self._values = {name: _as_tensor(values_of_rows(dataset.vocabulary(vocabularies[name])))
                        for name in self.names if name in vocabularies}

    def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """``{name: [batch] or [batch, length]}`` of a batch with the columns ``names``."""
        return {name: _raw(self._values[name], batch[name]) if name in self._values else batch[name]
                for name in self.names}


def _raw(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    found = tf.gather(values, tf.maximum(rows, 0))
    return tf.where(rows == PADDING, tf.constant(MISSING[values.dtype.name], values.dtype), found)


def values_of_rows(vocabulary: Vocabulary) -> pa.Array:
    """[rows]: a raw value that the vocabulary maps to each row; made up where the row is shared."""
    return pa.concat_arrays([_strangers(vocabulary), vocabulary.ids])


def _strangers(vocabulary: Vocabulary) -> pa.Array:
    """[oov_rows]: a value outside the vocabulary for each shared row."""
    found: dict[int, int | str] = {}
    start, block = 0, 16 * vocabulary.oov_rows + 64
    while len(found) < vocabulary.oov_rows:
        numbers = range(start, start + block)
        values = [-2 - number if vocabulary.dtype == "int64" else f"unseen {number}" for number in numbers]
        rows = vocabulary.rows(pa.array(values, ARROW_TYPES[vocabulary.dtype]))
        for value, row in zip(values, rows.tolist(), strict=True):
            if row < vocabulary.oov_rows:
                found.setdefault(row, value)
        start += block
    return pa.array([found[row] for row in range(vocabulary.oov_rows)], vocabulary.ids.type)


def _as_tensor(values: pa.Array) -> tf.Tensor:
    if pa.types.is_int64(values.type):
        return tf.constant(values.to_numpy())
    return tf.constant(np.array([value.encode() for value in values.to_pylist()], object), tf.string)
