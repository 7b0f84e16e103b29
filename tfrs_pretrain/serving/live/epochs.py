"""Snapshots: a request sees the rows and weights after a whole number of updates.

Every id, and every other part that an update can change, has an entry ``[since, new, old]``. A request reads the epoch
once, before anything else. It uses the place ``new`` of an entry if ``since <= epoch``, else ``old``. An update writes
to places that no entry names, changes entries to ``since = epoch + 1``, and raises the epoch last.

A place is free again, and an entry may change again, when all requests that could see its earlier state have ended. The
graph cannot know this: TensorFlow has no clock that runs under determinism, and it does not count requests. The client
says up to which epoch it is so, the settled epoch. It has seen that epoch a grace period ago.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

import tensorflow as tf

SINCE, NEW = range(2)
NOWHERE = -1  # place of an id that has none
USED = tf.int32.max  # in place of the epoch at which a place became free


def once_per_graph(compute: Callable[[], tf.Tensor]) -> Callable[[], tf.Tensor]:
    """Returns a function that computes a value only once in each graph that is traced."""
    found: weakref.WeakKeyDictionary[tf.Graph, tf.Tensor] = weakref.WeakKeyDictionary()

    def value() -> tf.Tensor:
        if tf.executing_eagerly():
            return compute()
        graph = tf.compat.v1.get_default_graph()
        if graph not in found:
            found[graph] = compute()
        return found[graph]

    return value


class Epochs(tf.Module):
    """The number of visible updates."""

    def __init__(self) -> None:
        super().__init__(name="epochs")
        self._epoch = tf.Variable(0, trainable=False, dtype=tf.int32, name="epoch")
        self._settled = tf.Variable(0, trainable=False, dtype=tf.int32, name="settled_epoch")
        self._read = once_per_graph(self._epoch.read_value)

    def current(self) -> tf.Tensor:
        """Returns int32 [], the epoch of the request whose graph is traced: read once for each graph."""
        return self._read()

    def place(self, entries: tf.Tensor) -> tf.Tensor:
        """Returns int32 [...], the places that a request uses.

        Args:
          entries: int32 [..., 3], read after ``current``.
        """
        since, new, old = tf.unstack(entries, num=3, axis=-1)
        return tf.where(since <= self.current(), new, old)

    def next(self) -> tf.Tensor:
        """Returns int32 [], the epoch of the update that is being applied."""
        return self._epoch.read_value() + 1

    def settled(self, claimed: int | tf.Tensor = 0) -> tf.Tensor:
        """Returns int32 [], the settled epoch: the client's, or a later one that another client has named."""
        return tf.maximum(self._settled.read_value(), tf.cast(claimed, tf.int32))

    def checks(self, claimed: tf.Tensor) -> list[tf.Operation]:
        """Returns assertions that a client can have seen the epoch int64 [] that it calls settled."""
        epoch = self._epoch.read_value()
        valid = (claimed >= 0) & (claimed <= tf.cast(epoch, tf.int64))
        return [tf.debugging.Assert(valid, ["live update: the epoch is", epoch, "which cannot be settled at", claimed])]

    def advance(self, settled: tf.Tensor, commit: tf.Tensor) -> list[tf.Operation]:
        """Returns operations that end an update. Everything that it writes must be written before.

        Args:
          settled: int32 [], what ``settled`` returned at the beginning of the update.
          commit: bool [], make this update, and those since the last commit, visible.
        """
        epoch = self._epoch.read_value() + tf.cast(commit, tf.int32)
        return [self._settled.assign(settled, read_value=False), self._epoch.assign(epoch, read_value=False)]
