"""Reconstruction of an impression's raw values, the inputs of a served model, from its record."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.schema import PADDING
from tfrs_pretrain.value_types import missing_value


class RawValues:
    """Raw ids and features by the name of a served model's input.

    The record contains the two ids and the numeric features unchanged. For other values, including those of lists, it
    contains table rows. The row of an admitted value maps back to that value. A row shared by several values maps to
    one of them, which the vocabulary cannot distinguish from the others. Padding becomes the missing value.

    Args:
      dataset: the records' schema and vocabularies.
      names: requested inputs.

    Attributes:
      names: those of the requested inputs that the records contain.
    """

    def __init__(self, dataset: Dataset, names: list[str]):
        kinds = {kind.raw_name: kind for kind in dataset.schema.inputs.values()}
        self.names = tuple(name for name in names if name in kinds)
        values = {name: kinds[name].raw_values_of_rows(dataset.vocabulary) for name in self.names}
        self._values = {name: _as_tensor(found) for name, found in values.items() if found is not None}

    def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return name -> [batch] or [batch, length] raw values for a batch with the columns ``names``."""
        return {name: _raw(self._values[name], batch[name]) if name in self._values else batch[name]
                for name in self.names}


def _raw(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    found = tf.gather(values, tf.maximum(rows, 0))
    return tf.where(rows == PADDING, tf.constant(missing_value(values.dtype.name), values.dtype), found)


def _as_tensor(values: pa.Array) -> tf.Tensor:
    if pa.types.is_string(values.type):
        return tf.constant(np.array([value.encode() for value in values.to_pylist()], object), tf.string)
    return tf.constant(values.to_numpy())
