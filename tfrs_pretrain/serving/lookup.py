"""Raw id -> row inside the served graph, equal to ``Vocabulary.rows``."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.serving.hashing import hash_ids
from tfrs_pretrain.vocabulary import Vocabulary


class VocabularyLookup(tf.Module):
    """A hash table of the admitted ids; other ids go to their shared row.

    The ids lie in a file under the SavedModel's ``assets/`` and are read when the server loads the model. As constants
    of the graph, a million strings took 9 s and 1.4 GB to load; as a file, 0.7 s and 0.2 GB.

    Args:
      vocabulary: ids and number of shared rows.
      asset: file to write the ids to; must exist until the model is saved, which copies it.
    """

    def __init__(self, vocabulary: Vocabulary, asset: Path):
        super().__init__()
        self.dtype = tf.as_dtype(vocabulary.dtype)
        self._oov_rows = vocabulary.oov_rows
        asset.write_bytes(tf.io.serialize_tensor(_as_tensor(vocabulary.ids)).numpy())
        # Held here as well, because saving follows the attributes of modules, not of initialisers.
        self._asset = tf.saved_model.Asset(str(asset))
        initializer = _IdsFromFile(self._asset, self.dtype, vocabulary.oov_rows)
        # With one shared row there is nothing to hash.
        self._table = tf.lookup.StaticHashTable(initializer, default_value=0 if self._oov_rows == 1 else -1)

    def rows(self, ids: tf.Tensor) -> tf.Tensor:
        """[n] raw ids -> [n] int64 rows."""
        found = self._table.lookup(ids)
        if self._oov_rows == 1:
            return found
        unknown = tf.where(found < 0)  # [unknown, 1]
        shared = hash_ids(tf.gather_nd(ids, unknown)) % tf.constant(self._oov_rows, tf.uint64)
        return tf.tensor_scatter_nd_update(found, unknown, tf.cast(shared, tf.int64))


class _IdsFromFile(tf.lookup.KeyValueTensorInitializer):
    """Fills a table with the ids of a serialized tensor [n] -> first_row + position."""

    def __init__(self, asset: tf.saved_model.Asset, dtype: tf.DType, first_row: int):
        super().__init__(tf.constant([], dtype), tf.constant([], tf.int64))
        self._path, self._first_row = asset.asset_path, first_row

    def initialize(self, table: tf.lookup.StaticHashTable) -> tf.Operation:
        """The operation that fills the table; it runs once when a model is loaded."""
        ids = tf.io.parse_tensor(tf.io.read_file(self._path), self.key_dtype)
        rows = self._first_row + tf.range(tf.size(ids, out_type=tf.int64))
        return tf.raw_ops.LookupTableImportV2(table_handle=table.resource_handle, keys=ids, values=rows)


def _as_tensor(ids: pa.Array) -> tf.Tensor:
    return tf.constant(ids.to_numpy(zero_copy_only=False), tf.int64 if pa.types.is_int64(ids.type) else tf.string)
