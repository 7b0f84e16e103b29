"""A Keras 3 layer with pretrained rows, by raw id. It needs the TensorFlow backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrs_pretrain.interop.keras_rows import PretrainedRows, initializer
from tfrs_pretrain.serving.graph.hashing import hash_ids
from tfrs_pretrain.vocabulary import Vocabulary

NUM_HASHES = 2**63 - 1


@keras.saving.register_keras_serializable("tfrs_pretrain")
class PretrainedIds(PretrainedRows):
    """Returns the rows of raw ids: int64 or string [...] -> float [..., dim]; unknown ids share rows by hash.

    Ids are found by binary search in a sorted list, which is a weight of the layer and therefore saved and exported
    with the model. Strings are represented by 63-bit hashes: those of known ids are distinct, and an unknown id has the
    hash of one of n known ids with probability n / 2^63.

    Args:
      num_rows: rows of the table.
      dim: length of a row.
      id_dtype: "int64" or "string".
      num_ids: ids that have a row of their own.
      oov_rows: rows that the other ids share, the first ones of the table.
      hash_key: key of the hash of strings.
      sorted_keys: int64 [num_ids] and int32 [num_ids], the keys of ids in ascending order and their rows; None: zeros,
        to be replaced by a saved model's weights.
      options: as in ``PretrainedRows``.
    """

    def __init__(self, num_rows: int, dim: int, *, id_dtype: str, num_ids: int, oov_rows: int, hash_key: int = 0,
                 sorted_keys: tuple[np.ndarray, np.ndarray] | None = None, **options: Any):
        super().__init__(num_rows, dim, **options)
        self.id_dtype, self.num_ids, self.oov_rows, self.hash_key = id_dtype, num_ids, oov_rows, hash_key
        self._sorted_keys = sorted_keys

    @classmethod
    def from_vocabulary(cls, vocabulary: Vocabulary, initial: np.ndarray, **options: Any) -> PretrainedIds:
        """Makes the layer of a table.

        Args:
          vocabulary: its ids.
          initial: float32 [num_rows, dim].
          options: as in ``PretrainedRows``.
        """
        ids = vocabulary.ids.drop_null().to_numpy(zero_copy_only=False)
        hash_key, keys = 0, id_keys(ids, vocabulary.dtype, 0)
        while len(np.unique(keys)) < len(keys):
            hash_key += 1
            keys = id_keys(ids, vocabulary.dtype, hash_key)
        order = np.argsort(keys)
        return cls(*initial.shape, id_dtype=vocabulary.dtype, num_ids=len(ids), oov_rows=vocabulary.oov_rows,
                   hash_key=hash_key, sorted_keys=(keys[order], vocabulary.id_rows[order].astype(np.int32)),
                   initial=initial, **options)

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights ``table``, ``keys`` and ``key_rows``."""
        keys, rows = self._sorted_keys or (None, None)
        self._sorted_keys = None
        self.keys = self._constant("keys", "int64", keys)
        self.key_rows = self._constant("key_rows", "int32", rows)
        super().build(input_shape)

    def call(self, ids: Any) -> tf.Tensor:
        """Returns the rows of raw ids."""
        ids = tf.convert_to_tensor(ids)
        if (ids.dtype == tf.string) != (self.id_dtype == "string") or not (ids.dtype.is_integer or
                                                                           ids.dtype == tf.string):
            raise ValueError(f"layer {self.name!r} expects ids of type {self.id_dtype}, received {ids.dtype.name}")
        if ids.dtype != tf.string:
            ids = tf.cast(ids, tf.int64)
        flat = tf.reshape(ids, [-1])
        rows = tf.reshape(self._rows(flat), tf.shape(ids))
        rows.set_shape(ids.shape)
        return self.gather(rows)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor; rows and keys are weights."""
        names = ("id_dtype", "num_ids", "oov_rows", "hash_key")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _constant(self, name: str, dtype: str, values: np.ndarray | None) -> Any:
        return self.add_weight(name=name, shape=(self.num_ids,), dtype=dtype, trainable=False, autocast=False,
                               initializer=initializer(values))

    def _rows(self, ids: tf.Tensor) -> tf.Tensor:
        """int64 [n], the rows of ids [n]."""
        if not self.num_ids:
            return self._shared_rows(ids)
        known, keys = tf.convert_to_tensor(self.keys.value), id_keys(ids, self.id_dtype, self.hash_key)
        # A key above all known keys is compared with the last one, which differs from it.
        position = tf.minimum(tf.searchsorted(known, keys), self.num_ids - 1)
        rows = tf.cast(tf.gather(self.key_rows.value, position), tf.int64)
        unknown = tf.where(tf.gather(known, position) != keys)                            # [unknown, 1]
        return tf.tensor_scatter_nd_update(rows, unknown, self._shared_rows(tf.gather_nd(ids, unknown)))

    def _shared_rows(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.cast(hash_ids(ids) % tf.constant(self.oov_rows, tf.uint64), tf.int64)


def id_keys(ids: Any, dtype: str, hash_key: int) -> Any:
    """Returns int64 [n], integer ids or hashes of string ids [n]: an array for an array, a tensor for a tensor."""
    if dtype == "int64":
        return ids
    hashes = tf.strings.to_hash_bucket_strong(tf.convert_to_tensor(ids, tf.string), NUM_HASHES, [hash_key, 0])
    return hashes if isinstance(ids, tf.Tensor) else hashes.numpy()
