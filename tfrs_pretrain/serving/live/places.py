"""Places of one vocabulary: where the rows of its ids are in the tables, and which places are free."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_pretrain.serving.graph.lookup import VocabularyLookup, as_tensor
from tfrs_pretrain.serving.live.epochs import NEW, NOWHERE, SINCE, USED, Epochs
from tfrs_pretrain.vocabulary import Vocabulary


class LiveLookup(VocabularyLookup):
    """Finds the places of ids. At first the place of a row is its number; spare places follow.

    The lookup of an unknown id is the number of its shared row, which ``shared_places`` translates. Places with such a
    number are not given to ids, so the two are not confused.

    Args:
      vocabulary: ids of the base version.
      spare: number of spare places.
      epochs: epochs of the model.
    """

    def __init__(self, vocabulary: Vocabulary, spare: int, epochs: Epochs):
        super().__init__(vocabulary)
        self._epochs, self.num_shared = epochs, vocabulary.oov_rows
        absent = tf.constant([0, NOWHERE, NOWHERE], tf.int32)
        self._entries = tf.lookup.experimental.MutableHashTable(self.dtype, tf.int32, absent, name="entries")
        if vocabulary.num_ids:
            self._entries.insert(as_tensor(vocabulary.known_ids), _first_entries(vocabulary.id_rows))
        self._shared = tf.Variable(_first_entries(np.arange(vocabulary.oov_rows)), trainable=False, name="shared")
        # Epoch at which each place became free.
        free_since = np.zeros(vocabulary.num_rows + spare, np.int32)
        free_since[vocabulary.id_rows] = USED
        free_since[:vocabulary.oov_rows] = USED
        self._free_since = tf.Variable(free_since, trainable=False, name="free_since")

    def _find(self, ids: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([self._epochs.current()]):
            entries = tf.ensure_shape(self._entries.lookup(tf.identity(ids)), [*ids.shape, 3])
        return tf.cast(self._epochs.place(entries), tf.int64)

    def shared_places(self, found: tf.Tensor) -> tf.Tensor:
        """Returns int64 [...], the places of what ``lookup`` found [...]."""
        with tf.control_dependencies([self._epochs.current()]):
            places = tf.cast(self._epochs.place(self._shared.read_value()), tf.int64)
        return tf.where(found < self.num_shared, tf.gather(places, tf.minimum(found, self.num_shared - 1)), found)

    def num_free(self, settled: tf.Tensor) -> tf.Tensor:
        """Returns int32 [], the number of free places."""
        return tf.math.count_nonzero(self._free_since.read_value() <= settled, dtype=tf.int32)

    def update(self, change: LiveChange, settled: tf.Tensor) -> LiveUpdate:
        """Prepares an update; nothing is written before its operations run.

        Args:
          change: ids and shared rows to move.
          settled: int32 [], see ``Epochs``.
        """
        ids, gone = (tf.ensure_shape(self._entries.lookup(keys), [None, 3]) for keys in (change.ids, change.gone))
        shared = tf.gather(self._shared.read_value(), change.shared)
        before = tf.concat([ids, shared, gone], 0)
        free = tf.where(self._free_since.read_value() <= settled)[:, 0]
        needed = tf.shape(ids)[0] + tf.shape(shared)[0]
        checks = [tf.debugging.Assert(tf.reduce_all(before[:, SINCE] <= settled), [
                      "live update: an id changed less than the grace period ago, wait and send again"]),
                  tf.debugging.Assert(tf.size(free) >= needed, [
                      "live update: no free places, wait for the grace period or compact, free:", tf.size(free),
                      "needed:", needed])]
        return LiveUpdate(tf.cast(free, tf.int32)[:needed], before, checks)

    def move(self, change: LiveChange, update: LiveUpdate, epoch: tf.Tensor) -> list[tf.Operation]:
        """Returns operations that change the entries; the rows must have been written."""
        num_ids, num_shared = tf.shape(change.ids)[0], tf.shape(change.shared)[0]
        new = tf.concat([update.places, tf.fill(tf.shape(change.gone), NOWHERE)], 0)
        entries = tf.stack([tf.fill(tf.shape(new), epoch), new, update.before[:, NEW]], axis=1)
        ids, shared, gone = tf.split(entries, [num_ids, num_shared, tf.shape(change.gone)[0]])
        moved = tf.tensor_scatter_nd_update(self._shared.read_value(), change.shared[:, None], shared)
        freed = tf.boolean_mask(update.before[:, NEW], update.before[:, NEW] >= self.num_shared)
        used = tf.raw_ops.ResourceScatterUpdate(resource=self._free_since.handle, indices=update.places,
                                                updates=tf.fill(tf.shape(update.places), USED))
        with tf.control_dependencies([used]):
            free = tf.raw_ops.ResourceScatterUpdate(resource=self._free_since.handle, indices=freed,
                                                    updates=tf.fill(tf.shape(freed), epoch))
        return [self._entries.insert(tf.concat([change.ids, change.gone], 0), tf.concat([ids, gone], 0)),
                self._shared.assign(moved, read_value=False), used, free]


class LiveChange(NamedTuple):
    """What an update moves in one vocabulary.

    Attributes:
      ids: [n], ids with new rows.
      shared: int64 [m], shared rows with new values.
      gone: [k], tombstones.
    """

    ids: tf.Tensor
    shared: tf.Tensor
    gone: tf.Tensor


class LiveUpdate(NamedTuple):
    """A prepared update of one vocabulary.

    Attributes:
      places: int32 [n + m], free places for the new rows of ids and shared rows.
      before: int32 [n + m + k, 3], present entries of ids, shared rows and tombstones.
      checks: assertions that must hold before anything is written.
    """

    places: tf.Tensor
    before: tf.Tensor
    checks: list[tf.Operation]


def _first_entries(places: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros_like(places), places, np.full_like(places, NOWHERE)], axis=1).astype(np.int32)
