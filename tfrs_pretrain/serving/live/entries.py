"""Entries of ids: where the row of an id is, and what requests of earlier epochs see instead.

An entry is one integer, because a look-up of one integer takes half the time of one of three. Between two updates all
requests see the same, so a request resolves its entries only if there are entries of an epoch after its own.

An entry is 0 for an id that is not known. Otherwise its low 32 bits are the sign ``KNOWN`` and a place of the
vocabulary. Its high 32 bits are the slot of the place: its number among the places of all vocabularies, from 1. The
entry of a tombstone is negative. It has the earlier place, if there was one, and for a slot -1 minus the epoch of the
removal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfrs_pretrain.serving.live.epochs import Epochs

BASE, KNOWN = 1 << 32, 1 << 31
PLACE = KNOWN - 1


class Moves(tf.Module):
    """For each slot the epoch of the move to it, times 2^32, plus the low bits of the entry before.

    Slots are written before an entry names them, and are not written again while a request can read them.

    Args:
      num_places: number of places of all vocabularies.
      epochs: epochs of the model.
    """

    def __init__(self, num_places: int, epochs: Epochs):
        super().__init__(name="moves")
        assert num_places < PLACE, f"{num_places} places"
        self._epochs = epochs
        # Slot 0 is that of all ids without a place.
        self._moves = tf.Variable(np.zeros(num_places + 1, np.int64), trainable=False, name="moves")
        self._newest = tf.Variable(0, trainable=False, dtype=tf.int32, name="newest_epoch")

    def announce(self, epoch: tf.Tensor) -> tf.Operation:
        """Returns the operation that must run before an entry of a new epoch int32 [] is written."""
        return self._newest.assign(epoch, read_value=False)

    def resolve(self, entries: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Resolves entries as the request sees them.

        Args:
          entries: several times int64 [any], read after ``Epochs.current``.

        Returns:
          For each int64 [n] with the place in its lowest 31 bits; 0 or negative for unknown ids.
        """
        with tf.control_dependencies(list(entries)):
            is_newest = self._newest.read_value() <= self._epochs.current()
        resolved: list[tf.Tensor] = tf.cond(is_newest, lambda: [*map(tf.identity, entries)],
                                            lambda: self._resolve_all(entries))
        for each, before in zip(resolved, entries, strict=True):
            each.set_shape(before.shape)
        return resolved

    def _resolve_all(self, entries: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        parts: list[tf.Tensor] = tf.split(self._resolve(tf.concat(entries, 0)),
                                          tf.stack([tf.size(each) for each in entries]), num=len(entries))
        return parts

    def _resolve(self, entries: tf.Tensor) -> tf.Tensor:
        later = tf.cast(self._epochs.current() + 1, tf.int64) * BASE
        moves = tf.gather(self._moves, _slots(entries))
        seen = tf.where(moves < later, entries, _low(moves))
        return tf.where(entries < -later, _low(entries), seen)

    def since(self, entries: tf.Tensor) -> tf.Tensor:
        """Returns int32 [n], the epochs since which entries [n] are as they are."""
        moved = _high(tf.gather(self._moves, _slots(entries)))
        return tf.cast(tf.where(entries < 0, -1 - _high(entries), moved), tf.int32)

    def write(self, slots: tf.Tensor, before: tf.Tensor, epoch: tf.Tensor) -> tf.Operation:
        """Returns the operation that writes int64 [n] slots that no request reads.

        Args:
          slots: int64 [n].
          before: int64 [n], entries before the move.
          epoch: int32 [], the epoch since which requests see the slots.
        """
        values = tf.cast(epoch, tf.int64) * BASE + present(before)
        return tf.raw_ops.ResourceScatterUpdate(resource=self._moves.handle, indices=slots, updates=values)


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


def _high(entries: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.right_shift(entries, tf.constant(32, tf.int64))


def _low(entries: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_and(entries, tf.constant(BASE - 1, tf.int64))


def _slots(entries: tf.Tensor) -> tf.Tensor:
    return tf.maximum(_high(entries), 0)
