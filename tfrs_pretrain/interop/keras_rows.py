"""A Keras 3 layer with pretrained rows, by row index."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


@keras.saving.register_keras_serializable("tfrs_pretrain")
class PretrainedRows(keras.layers.Layer):
    """Returns rows of a table: integers [...] -> float [..., dim].

    Args:
      num_rows: rows of the table.
      dim: length of a row.
      initial: float32 [num_rows, dim]; None: zeros, to be replaced by a saved model's weights.
      options: ``name``, ``trainable`` and ``dtype`` of the layer.
    """

    def __init__(self, num_rows: int, dim: int, *, initial: np.ndarray | None = None, **options: Any):
        super().__init__(**options)
        self.num_rows, self.dim = num_rows, dim
        self._initial = initial
        # Values are not converted: Keras would turn ids into floats under some policies.
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        if keras.backend.backend() == "tensorflow":
            self.supports_jit = False  # XLA has no tf.unique

    def build(self, input_shape: Any = None) -> None:
        """Creates the weight ``table``, float32 [num_rows, dim]."""
        del input_shape
        initial, self._initial = self._initial, None
        self.table = self.add_weight(
            name="table", shape=(self.num_rows, self.dim), dtype="float32", autocast=False, trainable=True,
            initializer=initializer(initial))
        self.built = True

    def call(self, rows: Any) -> Any:
        """Returns the rows of integer indices."""
        return self.gather(rows)

    def gather(self, rows: Any) -> Any:
        """Returns rows in the layer's compute dtype."""
        if keras.backend.backend() != "tensorflow":
            return keras.ops.cast(keras.ops.take(self.table, rows, axis=0), self.compute_dtype)
        import tensorflow as tf

        # Keras's optimizers apply only one gradient of a row that occurs twice in a batch, so each row is read once.
        rows = tf.convert_to_tensor(rows)
        distinct, position = tf.unique(tf.reshape(rows, [-1]))
        vectors = tf.gather(tf.gather(self.table.value, distinct), tf.reshape(position, tf.shape(rows)))
        vectors.set_shape([*rows.shape, self.dim])
        return tf.cast(vectors, self.compute_dtype)

    def compute_output_spec(self, inputs: Any) -> Any:
        """Returns shape and dtype of the output."""
        return keras.KerasTensor((*inputs.shape, self.dim), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor; the rows are weights."""
        return {**super().get_config(), "num_rows": self.num_rows, "dim": self.dim}


def initializer(values: np.ndarray | None) -> Any:
    """Returns an initializer of a weight with given values; None: zeros."""
    return "zeros" if values is None else lambda shape, dtype: keras.ops.convert_to_tensor(values, dtype)
