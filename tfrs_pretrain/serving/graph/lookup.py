"""Vocabulary lookups inside the served graph; they return the rows that ``Vocabulary.lookup`` returns."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.serving.graph.hashing import hash_ids
from tfrs_pretrain.vocabulary import Vocabulary

# Vocabularies of at least this size use a sorted list instead of a hash table: 12 bytes per id instead of 68 (integers)
# or more (strings), but several operations instead of one.
SORTED_FROM = 1_000_000
NUM_HASHES = 2**63 - 1


class Numbering(NamedTuple):
    """Numbers that a lookup returns instead of rows.

    Attributes:
      shared: number of the first shared row, to be added to the others.
      own: what is added to the rows of admitted ids; all of their numbers must be larger than ``shared``.
    """

    shared: int
    own: int


ROWS = Numbering(0, 0)  # the numbers are the rows


class VocabularyLookup(tf.Module, abc.ABC):
    """Finds the rows of admitted ids; other ids share rows by hash.

    Args:
      vocabulary: admitted ids, and number of shared rows.
      numbering: numbers of the rows.
    """

    def __init__(self, vocabulary: Vocabulary, numbering: Numbering):
        super().__init__()
        self.dtype = tf.as_dtype(vocabulary.dtype)
        self._oov_rows = vocabulary.oov_rows
        self._first_shared, self._added = numbering

    def lookup(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns int64 [n], the rows of raw ids [n]."""
        found = self._find(ids)
        if self._oov_rows == 1:  # nothing to hash
            return tf.maximum(found, self._first_shared)
        unknown = tf.where(found < 0)  # [unknown, 1]
        return tf.tensor_scatter_nd_update(found, unknown, self.shared(tf.gather_nd(ids, unknown)))

    def shared(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns int64 [n], the shared rows that ids [n] have if they are not admitted."""
        rows = tf.cast(hash_ids(ids) % tf.constant(self._oov_rows, tf.uint64), tf.int64)
        return rows + self._first_shared if self._first_shared else rows

    @abc.abstractmethod
    def _find(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns int64 [n], the rows of raw ids [n]; -1 for ids that are not admitted."""


def make_lookup(vocabulary: Vocabulary, asset: Path, numbering: Numbering = ROWS) -> VocabularyLookup:
    """Creates the lookup that fits the size of a vocabulary.

    Args:
      vocabulary: admitted ids, and number of shared rows.
      asset: file for the ids; must exist until the model is saved, which copies it.
      numbering: numbers of the rows.
    """
    if vocabulary.num_ids >= SORTED_FROM:
        return SortedLookup(vocabulary, numbering)
    return HashedLookup(vocabulary, asset, numbering)


class HashedLookup(VocabularyLookup):
    """A hash table of the admitted ids.

    The ids are stored in a file under the SavedModel's ``assets/``, which is read when the server loads the model. A
    million strings take 0.7 s and 0.2 GB to load from a file, but 9 s and 1.4 GB as constants of the graph. If the
    vocabulary has free rows, a second file has the row of each id.

    Args:
      vocabulary: admitted ids, and number of shared rows.
      asset: file to which the ids are written.
      numbering: numbers of the rows.
    """

    def __init__(self, vocabulary: Vocabulary, asset: Path, numbering: Numbering = ROWS):
        super().__init__(vocabulary, numbering)
        # Also attributes of the module, because saving does not follow the attributes of initializers.
        self._asset = _write(asset, as_tensor(vocabulary.known_ids))
        self._rows_asset = (_write(asset.with_suffix(".rows"), tf.constant(vocabulary.id_rows, tf.int64))
                            if len(vocabulary.free) else None)
        first_row = numbering.own + (0 if self._rows_asset else vocabulary.oov_rows)
        initializer = _IdsFromFile(self._asset, self._rows_asset, self.dtype, first_row)
        self._table = tf.lookup.StaticHashTable(initializer, default_value=-1)

    def _find(self, ids: tf.Tensor) -> tf.Tensor:
        return self._table.lookup(ids)


class SortedLookup(VocabularyLookup):
    """Binary search in a sorted list of the admitted ids; strings are represented by 63-bit hashes.

    The hashes of admitted strings are distinct. A string that is not admitted collides with one of n admitted strings
    with probability n / 2^63.

    Args:
      vocabulary: admitted ids, and number of shared rows.
      numbering: numbers of the rows.
    """

    def __init__(self, vocabulary: Vocabulary, numbering: Numbering = ROWS):
        super().__init__(vocabulary, numbering)
        self._key = 0
        ids = as_tensor(vocabulary.known_ids)
        keys = self._keys(ids).numpy()
        while len(np.unique(keys)) < len(keys):
            self._key += 1
            keys = self._keys(ids).numpy()
        order = np.argsort(keys)
        self._sorted = tf.Variable(keys[order], trainable=False, name="sorted_keys")
        self._rows = tf.Variable(vocabulary.id_rows[order].astype(np.int32), trainable=False, name="rows_of_keys")

    def _keys(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.strings.to_hash_bucket_strong(ids, NUM_HASHES, [self._key, 0]) if self.dtype == tf.string else ids

    def _find(self, ids: tf.Tensor) -> tf.Tensor:
        keys, known = self._keys(ids), self._sorted.read_value()
        # A key above all known keys is compared with the last one, which differs from it.
        position = tf.minimum(tf.searchsorted(known, keys), tf.size(known) - 1)
        rows = tf.cast(tf.gather(self._rows, position), tf.int64)
        rows = rows + self._added if self._added else rows
        return tf.where(tf.gather(known, position) == keys, rows, tf.constant(-1, tf.int64))


class _IdsFromFile(tf.lookup.KeyValueTensorInitializer):
    """Fills a table from a file with a serialized tensor of ids [n], and one of their rows.

    ``first_row`` is added to the numbers in the second file; without it, to the position of an id.
    """

    def __init__(self, ids: tf.saved_model.Asset, rows: tf.saved_model.Asset | None, dtype: tf.DType, first_row: int):
        super().__init__(tf.constant([], dtype), tf.constant([], tf.int64))
        self._ids, self._rows, self._first_row = ids.asset_path, rows.asset_path if rows else None, first_row

    def initialize(self, table: tf.lookup.StaticHashTable) -> tf.Operation:
        """Returns the operation that fills the table; it runs once, when the model is loaded."""
        ids = tf.io.parse_tensor(tf.io.read_file(self._ids), self.key_dtype)
        rows = (tf.range(tf.size(ids, out_type=tf.int64)) if self._rows is None
                else tf.io.parse_tensor(tf.io.read_file(self._rows), tf.int64))
        return tf.raw_ops.LookupTableImportV2(table_handle=table.resource_handle, keys=ids,
                                              values=self._first_row + rows)


def _write(path: Path, values: tf.Tensor) -> tf.saved_model.Asset:
    """Writes a tensor to a file that becomes an asset of the SavedModel."""
    path.write_bytes(tf.io.serialize_tensor(values).numpy())
    return tf.saved_model.Asset(str(path))


def as_tensor(ids: pa.Array) -> tf.Tensor:
    """Returns ids without nulls as int64 or string [n]."""
    return tf.constant(ids.to_numpy(zero_copy_only=False), tf.int64 if pa.types.is_int64(ids.type) else tf.string)
