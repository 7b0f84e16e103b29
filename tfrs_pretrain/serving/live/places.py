"""Places of one vocabulary: where the rows of its ids are in the tables, and which places are free."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_pretrain.serving.graph.lookup import make_lookup
from tfrs_pretrain.serving.live.entries import OWN, Entries, Layout, gone, place_of, present
from tfrs_pretrain.serving.live.epochs import USED
from tfrs_pretrain.vocabulary import Vocabulary


class LiveLookup(tf.Module):
    """Finds ids, and moves them to other places. At first the place of a row is its number; spare places follow.

    Args:
      vocabulary: ids of the base version.
      asset: file for the ids, see ``make_lookup``.
      layout: positions and places of the vocabulary.
      entries: entries of the base version.
      table: name of the table of ids that the base version does not have, unique in a server.
      numbered: keep the row number of each place, which ``row_numbers`` returns.
    """

    def __init__(self, vocabulary: Vocabulary, asset: Path, layout: Layout, entries: Entries, table: str, *,
                 numbered: bool):
        super().__init__()
        self.dtype = tf.as_dtype(vocabulary.dtype)
        self._layout, self._entries, self._table = layout, entries, table
        self._base = make_lookup(vocabulary, asset, layout.numbering)
        # Epoch at which each place became free; 0: free from the beginning, or erased.
        free_since = np.zeros(layout.num_places, np.int32)
        free_since[vocabulary.id_rows] = USED
        free_since[:vocabulary.oov_rows] = USED
        self._free_since = tf.Variable(free_since, trainable=False, name="free_since")
        self._numbers = tf.Variable(np.arange(layout.num_places, dtype=np.int32), trainable=False) if numbered else None

    @property
    def numbered(self) -> bool:
        """The row number of each place is kept."""
        return self._numbers is not None

    def positions(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns int64 [n], the positions of raw ids [n]: of shared rows, if the base version does not have them."""
        return self._base.lookup(ids)

    def shared_positions(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns int64 [n], the positions of the shared rows that raw ids [n] have while they are not known."""
        return self._base.shared(ids)

    def added_entries(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns int64 [n], the entries of those of raw ids [n] that the base version does not have; 0 for others."""
        zero = tf.constant(0, tf.int64)
        found = tf.raw_ops.LookupTableFindV2(table_handle=self._added(), keys=ids, default_value=zero)
        return tf.ensure_shape(found, [None])

    def _added(self) -> tf.Tensor:
        """Returns the table of ids that the base version does not have.

        By name: an operation in a branch runs only if the branch is taken. The table of a saved model is empty.
        """
        return tf.raw_ops.MutableHashTableV2(key_dtype=self.dtype, value_dtype=tf.int64, shared_name=self._table)

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
        ids, removed, erased = (self._present(keys) for keys in (change.ids, change.gone, change.erased))
        shared = self._shared_rows(change.shared)
        moved = tf.concat([ids.entries, shared.entries], 0)
        changed = self._entries.since(tf.concat([moved, removed.entries], 0))
        needed = tf.size(moved)
        free = self._places_with(lambda since: since <= settled, needed > 0)
        checks = [tf.debugging.Assert(tf.reduce_all(changed <= settled), [
                      "live update: an id changed less than the grace period ago, wait and send again"]),
                  tf.debugging.Assert(tf.size(free) >= needed, [
                      "live update: no free places, free:", tf.size(free), "needed:", needed])]
        if change.numbers is not None:
            checks.append(tf.debugging.Assert(tf.size(change.numbers) == needed, [
                "live update: expected row numbers:", needed, "received:", tf.size(change.numbers)]))
        old = self._places_with(lambda since: (since > 0) & (since <= settled), change.sweep > 0)
        dead = (present(erased.entries) == 0) & (self._entries.since(erased.entries) <= settled)
        before = present(tf.concat([moved, removed.entries], 0))
        freed = tf.cast(place_of(tf.boolean_mask(before, before > 0)), tf.int32)
        num_added = _count(~self._entries.is_base(ids.positions))
        return LiveUpdate(free[:needed], ids, shared, removed, num_added, erased.where(dead), freed, old, checks)

    def _present(self, ids: tf.Tensor) -> Found:
        """Returns the present entries of raw ids [n]."""
        positions = self.positions(ids)
        return Found(ids, positions, tf.where(self._entries.is_base(positions), self._entries.at(positions),
                                              self.added_entries(ids)))

    def _shared_rows(self, rows: tf.Tensor) -> Found:
        """Returns the present entries of shared rows int64 [n]."""
        first = self._layout.shared
        positions = tf.gather(tf.range(first, first + self._layout.oov_rows, dtype=tf.int64), rows)
        return Found(positions, positions, self._entries.at(positions))

    def _places_with(self, condition: Callable[[tf.Tensor], tf.Tensor], wanted: tf.Tensor) -> tf.Tensor:
        """Returns int32 [n], the places whose ``free_since`` meets a condition; if not wanted, none without reading."""
        return tf.cond(wanted, lambda: tf.cast(tf.where(condition(self._free_since.read_value()))[:, 0], tf.int32),
                       lambda: tf.zeros([0], tf.int32))

    def move(self, change: LiveChange, update: LiveUpdate, epoch: tf.Tensor) -> list[tf.Operation]:
        """Returns operations that change the entries of ids; the rows must have been written.

        A server may cancel a call between any two operations. Places are therefore taken before and freed after the
        entries move: a canceled call can waste places, but a place that an entry names is never free.
        """
        with tf.control_dependencies([scatter(self._free_since, update.old, tf.zeros_like(update.old))]):
            used = scatter(self._free_since, update.places, tf.fill(tf.shape(update.places), USED))
        before = tf.concat([update.ids.entries, update.shared.entries], 0)
        new = self._layout.entries(tf.cast(update.places, tf.int64))
        slots = self._entries.write_slots(new, before, epoch)
        with tf.control_dependencies([used, slots, *self._number(change, update)]):
            erased = self._erase_entries(update.dead)
        ids, shared = tf.split(new, [tf.size(update.ids.entries), tf.size(update.shared.entries)])
        with tf.control_dependencies(erased):
            moved = [*self._write(update.ids, ids + OWN), self._entries.write(update.shared.positions, shared)]
        with tf.control_dependencies(moved):
            return self._write(update.gone, gone(update.gone.entries, epoch))

    def _write(self, found: Found, entries: tf.Tensor) -> list[tf.Operation]:
        base, added = self._divided(found._replace(entries=entries))
        return [self._entries.write(base.positions, base.entries),
                tf.raw_ops.LookupTableInsertV2(table_handle=self._added(), keys=added.ids, values=added.entries)]

    def _erase_entries(self, found: Found) -> list[tf.Operation]:
        base, added = self._divided(found)
        return [self._entries.write(base.positions, tf.zeros_like(base.positions)),
                tf.raw_ops.LookupTableRemoveV2(table_handle=self._added(), keys=added.ids)]

    def _divided(self, found: Found) -> tuple[Found, Found]:
        """Returns those that the base version has, and the others."""
        is_base = self._entries.is_base(found.positions)
        return found.where(is_base), found.where(~is_base)

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


class Found(NamedTuple):
    """Ids with their present entries.

    Attributes:
      ids: [n].
      positions: int64 [n].
      entries: int64 [n].
    """

    ids: tf.Tensor
    positions: tf.Tensor
    entries: tf.Tensor

    def where(self, mask: tf.Tensor) -> Found:
        """Selects those at which bool [n] is true."""
        return Found(*(tf.boolean_mask(values, mask) for values in self))


class LiveUpdate(NamedTuple):
    """A prepared update of one vocabulary.

    Attributes:
      places: int32 [n + m], free places for the new rows of ids and shared rows.
      ids: the n ids to move.
      shared: the m shared rows to move.
      gone: tombstones.
      num_added: int32 [], number of the ids that the base version does not have.
      dead: earlier tombstones whose entries are erased.
      freed: int32 [l], present places of ids, tombstones and shared rows.
      old: int32 [j], places whose old rows are set to zero.
      checks: assertions that must hold before anything is written.
    """

    places: tf.Tensor
    ids: Found
    shared: Found
    gone: Found
    num_added: tf.Tensor
    dead: Found
    freed: tf.Tensor
    old: tf.Tensor
    checks: list[tf.Operation]


def scatter(variable: tf.Variable, places: tf.Tensor, values: tf.Tensor) -> tf.Operation:
    """Returns the operation that writes values [n, ...] to int32 [n], places that no request reads."""
    return tf.raw_ops.ResourceScatterUpdate(resource=variable.handle, indices=places, updates=values)


def _count(mask: tf.Tensor) -> tf.Tensor:
    return tf.math.count_nonzero(mask, dtype=tf.int32)
