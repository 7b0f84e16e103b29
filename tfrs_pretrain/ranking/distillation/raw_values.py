"""Raw values of an impression from its record, as a served model takes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.schema import PADDING
from tfrs_pretrain.value_types import MISSING


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
        kinds = {kind.raw_name: kind for kind in dataset.schema.inputs.values()}
        self.names = tuple(name for name in names if name in kinds)
        values = {name: kinds[name].raw_values_of_rows(dataset.vocabulary) for name in self.names}
        self._values = {name: _as_tensor(found) for name, found in values.items() if found is not None}

    def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """``{name: [batch] or [batch, length]}`` of a batch with the columns ``names``."""
        return {name: _raw(self._values[name], batch[name]) if name in self._values else batch[name]
                for name in self.names}


def _raw(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    found = tf.gather(values, tf.maximum(rows, 0))
    return tf.where(rows == PADDING, tf.constant(MISSING[values.dtype.name], values.dtype), found)


def _as_tensor(values: pa.Array) -> tf.Tensor:
    if pa.types.is_int64(values.type):
        return tf.constant(values.to_numpy())
    return tf.constant(np.array([value.encode() for value in values.to_pylist()], object), tf.string)
