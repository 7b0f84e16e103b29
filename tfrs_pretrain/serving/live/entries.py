"""Entries of rows: where the row of an id is, and what requests of earlier epochs see instead.

A request finds an id of the base version by the look-up of a version without live updates, which returns a position.
The entry at the position is what an update changes. It is one aligned integer, so no request sees half of it. Ids that
the base version does not have are in a table, which is read only for requests that contain an id that is not in the
base version, after an update has added ids.

An entry is 0 for an id that is not known. Otherwise its low 32 bits are the sign ``KNOWN`` and a place of the
vocabulary. The bits above are the slot of the place, its number among the places of all vocabularies, from 1, and the
sign ``OWN``, if it is the entry of an id and not of a shared row. The entry of a tombstone is negative. It has the
earlier place, if there was one, and for a slot -1 minus the epoch of the removal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrs_pretrain.serving.graph.lookup import Numbering
from tfrs_pretrain.serving.live.epochs import Epochs
from tfrs_pretrain.vocabulary import Vocabulary

BASE, KNOWN = 1 << 32, 1 << 31
PLACE, OWN = KNOWN - 1, 1 << 62


@dataclasses.dataclass(frozen=True)
class Layout:
    """Positions and places of one vocabulary among those of all.

    The shared rows of all vocabularies come first, so that a position tells whether an id is in the base version.

    Attributes:
      shared: position of the first shared row.
      oov_rows: number of shared rows.
      own: position of the first row of an id.
      first_slot: slot of the first place.
      num_places: number of places, spare ones included.
    """

    shared: int
    oov_rows: int
    own: int
    first_slot: int
    num_places: int

    @property
    def numbering(self) -> Numbering:
        """The positions of rows."""
        return Numbering(self.shared, self.own - self.oov_rows)

    def entries(self, places: np.ndarray | tf.Tensor) -> np.ndarray | tf.Tensor:
        """Returns int64 [n], entries of shared rows that name places int64 [n]; those of ids have ``OWN`` too."""
        return (places + self.first_slot) * BASE + places + KNOWN


def layouts(vocabularies: Mapping[str, Vocabulary], sizes: Mapping[str, int]) -> dict[str, Layout]:
    """Returns the layout of each vocabulary.

    Args:
      vocabularies: vocabularies of the base version.
      sizes: name of a vocabulary -> number of its places.
    """
    found, shared, slot = {}, 0, 1
    own = sum(vocabulary.oov_rows for vocabulary in vocabularies.values())
    for name, vocabulary in vocabularies.items():
        found[name] = Layout(shared, vocabulary.oov_rows, own, slot, sizes[name])
        shared += vocabulary.oov_rows
        own += len(vocabulary.ids)
        slot += sizes[name]
    return found


class Entries(tf.Module):
    """The entries of all rows of the base version; at first the place of a row is its number.

    For each slot there is the epoch of the move to it, times 2^32, plus the low bits of the entry before. Slots are
    written before an entry names them, and are not written again while a request can read them.

    Args:
      vocabularies: vocabularies of the base version.
      layout: their layouts.
      epochs: epochs of the model.
    """

    def __init__(self, vocabularies: Mapping[str, Vocabulary], layout: Mapping[str, Layout], epochs: Epochs):
        super().__init__(name="entries")
        num_places = sum(each.num_places for each in layout.values())
        assert num_places < PLACE, f"{num_places} places"
        self._epochs, self._num_shared = epochs, sum(each.oov_rows for each in layout.values())
        shared = [layout[name].entries(np.arange(each.oov_rows)) for name, each in vocabularies.items()]
        own = [_own_entries(each, layout[name]) for name, each in vocabularies.items()]
        self._entries = tf.Variable(np.concatenate([*shared, *own]), trainable=False, name="entries")
        # Slot 0 is that of all ids without a place.
        self._moves = tf.Variable(np.zeros(num_places + 1, np.int64), trainable=False, name="moves")
        self._newest = tf.Variable(0, trainable=False, dtype=tf.int32, name="newest_epoch")
        # Smaller entries must be resolved: those of tombstones and, after an update has added ids, of shared rows.
        self._smallest = tf.Variable(1, trainable=False, dtype=tf.int64, name="smallest_plain")

    def is_base(self, positions: tf.Tensor) -> tf.Tensor:
        """Returns bool [n]: positions [n] are those of ids that the base version has."""
        return positions >= self._num_shared

    def at(self, positions: tf.Tensor) -> tf.Tensor:
        """Returns int64 [n], the present entries at positions int64 [n]."""
        return tf.gather(self._entries, positions)

    def are_plain(self, entries: tf.Tensor) -> tf.Tensor:
        """Returns bool []: the request uses all entries int64 [n], read after ``Epochs.current``, as they are."""
        with tf.control_dependencies([entries]):
            newest, smallest = self._newest.read_value(), self._smallest.read_value()
        return (newest <= self._epochs.current()) & (tf.reduce_min(entries) >= smallest)

    def resolve(self, entries: tf.Tensor) -> tf.Tensor:
        """Resolves entries as the request sees them.

        Args:
          entries: int64 [n], read after ``Epochs.current``.

        Returns:
          int64 [n] with the place in its lowest 31 bits; 0 or negative for unknown ids.
        """
        later = tf.cast(self._epochs.current() + 1, tf.int64) * BASE
        moves = tf.gather(self._moves, _slots(entries))
        seen = tf.where(moves < later, entries, _low(moves))
        return tf.where(entries < -later, _low(entries), seen)

    def since(self, entries: tf.Tensor) -> tf.Tensor:
        """Returns int32 [n], the epochs since which entries [n] are as they are."""
        moved = _high(tf.gather(self._moves, _slots(entries)))
        return tf.cast(tf.where(entries < 0, -1 - _high(entries), moved), tf.int32)

    def announce(self, epoch: tf.Tensor, num_added: tf.Tensor) -> list[tf.Operation]:
        """Returns the operations that must run before an entry of a new epoch is written.

        Args:
          epoch: int32 [].
          num_added: int32 [], number of the ids with new rows that the base version does not have.
        """
        smallest = tf.where(num_added > 0, tf.constant(OWN, tf.int64), self._smallest.read_value())
        return [self._newest.assign(epoch, read_value=False), self._smallest.assign(smallest, read_value=False)]

    def write_slots(self, entries: tf.Tensor, before: tf.Tensor, epoch: tf.Tensor) -> tf.Operation:
        """Returns the operation that writes the slots of new entries; no request reads them.

        Args:
          entries: int64 [n], new entries.
          before: int64 [n], entries before the move.
          epoch: int32 [], the epoch since which requests see the new entries.
        """
        values = tf.cast(epoch, tf.int64) * BASE + present(before)
        return tf.raw_ops.ResourceScatterUpdate(resource=self._moves.handle, indices=_slots(entries), updates=values)

    def write(self, positions: tf.Tensor, entries: tf.Tensor) -> tf.Operation:
        """Returns the operation that writes entries int64 [n] at positions int64 [n]."""
        return tf.raw_ops.ResourceScatterUpdate(resource=self._entries.handle, indices=positions, updates=entries)


def present(entries: tf.Tensor) -> tf.Tensor:
    """Returns int64 [n], the low bits of entries [n]; 0 for ids that are not known at present."""
    return tf.where(entries < 0, tf.zeros_like(entries), _low(entries))


def gone(entries: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
    """Returns int64 [n], entries of ids that are removed at an epoch.

    Args:
      entries: int64 [n], their entries before.
      epoch: int32 [].
    """
    return present(entries) - tf.cast(epoch + 1, tf.int64) * BASE


def place_of(entries: tf.Tensor) -> tf.Tensor:
    """Returns int64 [n], the places that entries [n] of known ids name."""
    return tf.bitwise.bitwise_and(entries, tf.constant(PLACE, tf.int64))


def _own_entries(vocabulary: Vocabulary, layout: Layout) -> np.ndarray:
    entries = np.zeros(len(vocabulary.ids), np.int64)
    entries[vocabulary.id_rows - layout.oov_rows] = layout.entries(vocabulary.id_rows.astype(np.int64)) + OWN
    return entries


def _high(entries: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.right_shift(entries, tf.constant(32, tf.int64))


def _low(entries: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_and(entries, tf.constant(BASE - 1, tf.int64))


def _slots(entries: tf.Tensor) -> tf.Tensor:
    return tf.where(entries < 0, tf.zeros_like(entries), tf.bitwise.bitwise_and(_high(entries), OWN // BASE - 1))
