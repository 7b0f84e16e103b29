"""Places of one vocabulary: where the rows of its ids are in the tables, and which places are free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_pretrain.serving.graph.lookup import VocabularyLookup, as_tensor
from tfrs_pretrain.serving.live.entries import BASE, KNOWN, PLACE, Moves, gone, present
from tfrs_pretrain.serving.live.epochs import USED, Epochs
from tfrs_pretrain.serving.live.shared_places import SharedPlaces
from tfrs_pretrain.vocabulary import Vocabulary


class Placement(NamedTuple):
    """Where the rows of all vocabularies are.

    Attributes:
      sizes: vocabulary -> number of its places, spare ones included.
      moves: moves of ids.
      shared: places of shared rows.
    """

    sizes: Mapping[str, int]
    moves: Moves
    shared: SharedPlaces

    @classmethod
    def of(cls, sizes: Mapping[str, int], oov_rows: Mapping[str, int], epochs: Epochs) -> Placement:
        """Creates the variables.

        Args:
          sizes: see above.
          oov_rows: vocabulary -> number of shared rows.
          epochs: epochs of the model.
        """
        return cls(sizes, Moves(sum(sizes.values()), epochs), SharedPlaces(oov_rows, epochs))

    def first_slot(self, name: str) -> int:
        """Returns the slot of the first place of a vocabulary."""
        names = list(self.sizes)
        return 1 + sum(self.sizes[before] for before in names[:names.index(name)])


class LiveLookup(VocabularyLookup):
    """Finds the places of ids and of the shared rows. At first the place of a row is its number; spare places follow.

    Args:
      name: name of the vocabulary.
      vocabulary: ids of the base version.
      placement: where all rows are.
      epochs: epochs of the model.
      numbered: keep the row number of each place, which ``row_numbers`` returns.
    """

    def __init__(self, name: str, vocabulary: Vocabulary, placement: Placement, epochs: Epochs, *, numbered: bool):
        super().__init__(vocabulary)
        self._vocabulary, self._epochs, num_places = name, epochs, placement.sizes[name]
        self._moves, self._shared, self._first_slot = placement.moves, placement.shared, placement.first_slot(name)
        self._entries = tf.lookup.experimental.MutableHashTable(self.dtype, tf.int64, 0, name="entries")
        if vocabulary.num_ids:
            self._entries.insert(as_tensor(vocabulary.known_ids), self._entry(vocabulary.id_rows.astype(np.int64)))
        # Epoch at which each place became free; 0: free from the beginning, or erased.
        free_since = np.zeros(num_places, np.int32)
        free_since[vocabulary.id_rows] = USED
        free_since[:vocabulary.oov_rows] = USED
        self._free_since = tf.Variable(free_since, trainable=False, name="free_since")
        self._numbers = tf.Variable(np.arange(num_places, dtype=np.int32), trainable=False) if numbered else None

    @property
    def numbered(self) -> bool:
        """The row number of each place is kept."""
        return self._numbers is not None

    def lookup(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns int64 [n], the places of raw ids [n]."""
        [resolved] = self._moves.resolve([self.entries(ids)])
        return self.places(ids, resolved)

    def entries(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns int64 [n], the entries of raw ids [n], to be resolved."""
        with tf.control_dependencies([self._epochs.current()]):
            found = self._entries.lookup(ids)
        found.set_shape(ids.shape)
        return found

    def places(self, ids: tf.Tensor, resolved: tf.Tensor) -> tf.Tensor:
        """Returns int64 [n], the places of raw ids [n] with resolved entries int64 [n]."""
        shared = self._shared.places()[self._vocabulary]
        if self._oov_rows == 1:  # nothing to hash; the sign makes entries of known ids larger than all places
            return _place(tf.maximum(resolved, shared))
        unknown = tf.where(resolved <= 0)  # [unknown, 1]
        places = tf.gather(shared, self._hash(tf.gather_nd(ids, unknown)))
        return tf.tensor_scatter_nd_update(_place(resolved), unknown, places)

    _find = entries

    def _entry(self, places: np.ndarray | tf.Tensor) -> tf.Tensor:
        return (places + self._first_slot) * BASE + places + KNOWN

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
        ids, removed, erased = (tf.ensure_shape(self._entries.lookup(keys), [None])
                                for keys in (change.ids, change.gone, change.erased))
        shared = self._shared.before(self._vocabulary, change.shared)
        changed = tf.concat([self._moves.since(ids), shared.since, self._moves.since(removed)], 0)
        needed = tf.shape(ids)[0] + tf.shape(change.shared)[0]
        free = self._places_with(lambda since: since <= settled, needed > 0)
        checks = [tf.debugging.Assert(tf.reduce_all(changed <= settled), [
                      "live update: an id changed less than the grace period ago, wait and send again"]),
                  tf.debugging.Assert(tf.size(free) >= needed, [
                      "live update: no free places, free:", tf.size(free), "needed:", needed])]
        if change.numbers is not None:
            checks.append(tf.debugging.Assert(tf.size(change.numbers) == needed, [
                "live update: expected row numbers:", needed, "received:", tf.size(change.numbers)]))
        old = self._places_with(lambda since: (since > 0) & (since <= settled), change.sweep > 0)
        dead = (present(erased) == 0) & (self._moves.since(erased) <= settled)
        before = present(tf.concat([ids, removed], 0))
        freed = tf.concat([tf.cast(_place(tf.boolean_mask(before, before > 0)), tf.int32), shared.places], 0)
        return LiveUpdate(free[:needed], ids, removed, freed, old, tf.boolean_mask(change.erased, dead), checks)

    def _places_with(self, condition: Callable[[tf.Tensor], tf.Tensor], wanted: tf.Tensor) -> tf.Tensor:
        """Returns int32 [n], the places whose ``free_since`` meets a condition; if not wanted, none without reading."""
        return tf.cond(wanted, lambda: tf.cast(tf.where(condition(self._free_since.read_value()))[:, 0], tf.int32),
                       lambda: tf.zeros([0], tf.int32))

    def move(self, change: LiveChange, update: LiveUpdate, epoch: tf.Tensor) -> list[tf.Operation]:
        """Returns operations that change the entries of ids; the rows must have been written.

        A server may cancel a call between any two operations. Places are therefore taken before and freed after the
        entries move: a canceled call can waste places, but a place that an entry names is never free.
        """
        new = tf.cast(update.places[:tf.shape(change.ids)[0]], tf.int64)
        with tf.control_dependencies([scatter(self._free_since, update.old, tf.zeros_like(update.old))]):
            used = scatter(self._free_since, update.places, tf.fill(tf.shape(update.places), USED))
        moved = self._moves.write(new + self._first_slot, update.ids, epoch)
        with tf.control_dependencies([used, moved, self._entries.remove(update.dead), *self._number(change, update)]):
            return [self._entries.insert(tf.concat([change.ids, change.gone], 0),
                                         tf.concat([self._entry(new), gone(update.gone, epoch)], 0))]

    def free(self, update: LiveUpdate, epoch: tf.Tensor) -> tf.Operation:
        """Returns the operation that frees places; no entry may name them any more."""
        return scatter(self._free_since, update.freed, tf.fill(tf.shape(update.freed), epoch))

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
      ids: int64 [n], present entries of the ids.
      gone: int64 [k], present entries of the tombstones.
      freed: int32 [l], present places of ids, tombstones and shared rows.
      old: int32 [j], places whose old rows are set to zero.
      dead: ids whose entries are removed.
      checks: assertions that must hold before anything is written.
    """

    places: tf.Tensor
    ids: tf.Tensor
    gone: tf.Tensor
    freed: tf.Tensor
    old: tf.Tensor
    dead: tf.Tensor
    checks: list[tf.Operation]


def scatter(variable: tf.Variable, places: tf.Tensor, values: tf.Tensor) -> tf.Operation:
    """Returns the operation that writes values [n, ...] to int32 [n], places that no request reads."""
    return tf.raw_ops.ResourceScatterUpdate(resource=variable.handle, indices=places, updates=values)


def _place(entries: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_and(entries, tf.constant(PLACE, tf.int64))


def _count(mask: tf.Tensor) -> tf.Tensor:
    return tf.math.count_nonzero(mask, dtype=tf.int32)
