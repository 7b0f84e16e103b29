"""Places of one vocabulary: where the rows of its ids are in the tables, and which places are free."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_pretrain.serving.graph.lookup import VocabularyLookup, as_tensor
from tfrs_pretrain.serving.live.epochs import NEW, NOWHERE, SINCE, USED, Epochs, once_per_graph
from tfrs_pretrain.vocabulary import Vocabulary


class LiveLookup(VocabularyLookup):
    """Finds the places of ids and of the shared rows. At first the place of a row is its number; spare places follow.

    Args:
      vocabulary: ids of the base version.
      spare: number of spare places.
      epochs: epochs of the model.
      numbered: keep the row number of each place, which ``row_numbers`` returns.
    """

    def __init__(self, vocabulary: Vocabulary, spare: int, epochs: Epochs, *, numbered: bool):
        super().__init__(vocabulary)
        self._epochs, num_places = epochs, vocabulary.num_rows + spare
        absent = tf.constant([0, NOWHERE, NOWHERE], tf.int32)
        self._entries = tf.lookup.experimental.MutableHashTable(self.dtype, tf.int32, absent, name="entries")
        if vocabulary.num_ids:
            self._entries.insert(as_tensor(vocabulary.known_ids), _first_entries(vocabulary.id_rows))
        self._shared = tf.Variable(_first_entries(np.arange(vocabulary.oov_rows)), trainable=False, name="shared")
        # Epoch at which each place became free; 0: free from the beginning, or erased.
        free_since = np.zeros(num_places, np.int32)
        free_since[vocabulary.id_rows] = USED
        free_since[:vocabulary.oov_rows] = USED
        self._free_since = tf.Variable(free_since, trainable=False, name="free_since")
        self._numbers = tf.Variable(np.arange(num_places, dtype=np.int32), trainable=False) if numbered else None
        self._shared_places = once_per_graph(self._read_shared_places)

    @property
    def numbered(self) -> bool:
        """The row number of each place is kept."""
        return self._numbers is not None

    def lookup(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns int64 [n], the places of raw ids [n]."""
        found, shared = self._find(ids), self._shared_places()
        if self._oov_rows == 1:  # nothing to hash
            return tf.where(found < 0, shared[0], found)
        unknown = tf.where(found < 0)  # [unknown, 1]
        return tf.tensor_scatter_nd_update(found, unknown, tf.gather(shared, self._hash(tf.gather_nd(ids, unknown))))

    def _find(self, ids: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([self._epochs.current()]):
            entries = self._entries.lookup(ids)
        places = tf.cast(self._epochs.place(entries), tf.int64)
        places.set_shape(ids.shape)
        return places

    def _read_shared_places(self) -> tf.Tensor:
        with tf.control_dependencies([self._epochs.current()]):
            return tf.cast(self._epochs.place(self._shared.read_value()), tf.int64)

    def row_numbers(self, places: tf.Tensor) -> tf.Tensor:
        """Returns int64 [...], the numbers of the rows at places [...]; padding stays -1."""
        assert self._numbers is not None
        return tf.where(places < 0, places, tf.cast(tf.gather(self._numbers, tf.maximum(places, 0)), tf.int64))

    def counts(self, settled: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns int32 [], the number of free places, and the number of places whose old rows are not erased yet."""
        since = self._free_since.read_value()
        return {"free": _count(since <= settled), "old": _count((since > 0) & (since < USED))}

    def update(self, change: LiveChange, settled: tf.Tensor) -> LiveUpdate:
        """Prepares an update; nothing is written before its operations run.

        Args:
          change: what to move and to erase.
          settled: int32 [], see ``Epochs``.
        """
        ids, gone, erased = (tf.ensure_shape(self._entries.lookup(keys), [None, 3])
                             for keys in (change.ids, change.gone, change.erased))
        shared = tf.gather(self._shared.read_value(), change.shared)
        before = tf.concat([ids, shared, gone], 0)
        since = self._free_since.read_value()
        free = tf.where(since <= settled)[:, 0]
        needed = tf.shape(ids)[0] + tf.shape(shared)[0]
        checks = [tf.debugging.Assert(tf.reduce_all(before[:, SINCE] <= settled), [
                      "live update: an id changed less than the grace period ago, wait and send again"]),
                  tf.debugging.Assert(tf.size(free) >= needed, [
                      "live update: no free places, free:", tf.size(free), "needed:", needed])]
        if change.numbers is not None:
            checks.append(tf.debugging.Assert(tf.size(change.numbers) == needed, [
                "live update: expected row numbers:", needed, "received:", tf.size(change.numbers)]))
        old = tf.where((since > 0) & (since <= settled) & (change.sweep > 0))[:, 0]
        dead = (erased[:, NEW] == NOWHERE) & (erased[:, SINCE] <= settled)
        return LiveUpdate(tf.cast(free, tf.int32)[:needed], before, tf.cast(old, tf.int32),
                          tf.boolean_mask(change.erased, dead), checks)

    def move(self, change: LiveChange, update: LiveUpdate, epoch: tf.Tensor) -> list[tf.Operation]:
        """Returns operations that change the entries; the rows must have been written.

        A server may cancel a call between any two operations. Places are therefore taken before and freed after the
        entries move: a canceled call can waste places, but a place that an entry names is never free.
        """
        num_ids, num_shared = tf.shape(change.ids)[0], tf.shape(change.shared)[0]
        new = tf.concat([update.places, tf.fill(tf.shape(change.gone), NOWHERE)], 0)
        entries = tf.stack([tf.fill(tf.shape(new), epoch), new, update.before[:, NEW]], axis=1)
        ids, shared, gone = tf.split(entries, [num_ids, num_shared, tf.shape(change.gone)[0]])
        moved = tf.tensor_scatter_nd_update(self._shared.read_value(), change.shared[:, None], shared)
        freed = tf.boolean_mask(update.before[:, NEW], update.before[:, NEW] != NOWHERE)
        with tf.control_dependencies([scatter(self._free_since, update.old, tf.zeros_like(update.old))]):
            used = scatter(self._free_since, update.places, tf.fill(tf.shape(update.places), USED))
        with tf.control_dependencies([used, self._entries.remove(update.dead), *self._number(change, update)]):
            changed = [self._entries.insert(tf.concat([change.ids, change.gone], 0), tf.concat([ids, gone], 0)),
                       self._shared.assign(moved, read_value=False)]
        with tf.control_dependencies(changed):
            return [*changed, scatter(self._free_since, freed, tf.fill(tf.shape(freed), epoch))]

    def _number(self, change: LiveChange, update: LiveUpdate) -> list[tf.Operation]:
        if self._numbers is None or change.numbers is None:
            return []
        return [scatter(self._numbers, update.places, change.numbers)]


class LiveChange(NamedTuple):
    """What an update moves in one vocabulary.

    Attributes:
      ids: [n], ids with new rows.
      shared: int64 [m], shared rows with new values.
      gone: [k], tombstones.
      erased: [l], earlier tombstones, to be removed from memory if they are settled.
      sweep: int64 [], 1: set old rows to zero if they are settled.
      numbers: int32 [n + m], row numbers of ids and shared rows; None: they are not kept.
    """

    ids: tf.Tensor
    shared: tf.Tensor
    gone: tf.Tensor
    erased: tf.Tensor
    sweep: tf.Tensor
    numbers: tf.Tensor | None


class LiveUpdate(NamedTuple):
    """A prepared update of one vocabulary.

    Attributes:
      places: int32 [n + m], free places for the new rows of ids and shared rows.
      before: int32 [n + m + k, 3], present entries of ids, shared rows and tombstones.
      old: int32 [j], places whose old rows are set to zero.
      dead: ids whose entries are removed.
      checks: assertions that must hold before anything is written.
    """

    places: tf.Tensor
    before: tf.Tensor
    old: tf.Tensor
    dead: tf.Tensor
    checks: list[tf.Operation]


def scatter(variable: tf.Variable, places: tf.Tensor, values: tf.Tensor) -> tf.Operation:
    """Returns the operation that writes values [n, ...] to int32 [n], places that no request reads."""
    return tf.raw_ops.ResourceScatterUpdate(resource=variable.handle, indices=places, updates=values)


def _first_entries(places: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros_like(places), places, np.full_like(places, NOWHERE)], axis=1).astype(np.int32)


def _count(mask: tf.Tensor) -> tf.Tensor:
    return tf.math.count_nonzero(mask, dtype=tf.int32)
