"""Places of the rows that unknown ids share, of all vocabularies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrs_pretrain.serving.live.epochs import NEW, NOWHERE, SINCE, Epochs, once_per_graph


class SharedPlaces(tf.Module):
    """One variable for all vocabularies: a request reads and resolves it as a whole.

    Args:
      sizes: vocabulary -> number of its shared rows.
      epochs: epochs of the model.
    """

    def __init__(self, sizes: Mapping[str, int], epochs: Epochs):
        super().__init__(name="shared_places")
        self._epochs, self._sizes = epochs, dict(sizes)
        rows = np.concatenate([np.arange(size) for size in sizes.values()])
        entries = np.stack([np.zeros_like(rows), rows, np.full_like(rows, NOWHERE)], axis=1).astype(np.int32)
        self._entries = tf.Variable(entries, trainable=False, name="shared_entries")
        self._places = once_per_graph(self._read_places)

    def places(self) -> dict[str, tf.Tensor]:
        """Returns vocabulary -> int64 [its shared rows], the places that the request uses."""
        return dict(zip(self._sizes, self._places(), strict=True))

    def _read_places(self) -> list[tf.Tensor]:
        with tf.control_dependencies([self._epochs.current()]):
            places = self._epochs.place(self._entries.read_value())
        return self._split(tf.cast(places, tf.int64))

    def _split(self, values: tf.Tensor) -> list[tf.Tensor]:
        parts: list[tf.Tensor] = tf.split(values, list(self._sizes.values()))
        return parts

    def before(self, name: str, rows: tf.Tensor) -> SharedBefore:
        """Returns the present entries of the shared rows int64 [m] of a vocabulary."""
        entries = dict(zip(self._sizes, self._split(self._entries.read_value()), strict=True))
        found = tf.gather(entries[name], rows)
        return SharedBefore(found[:, SINCE], found[:, NEW])

    def move(self, rows: Sequence[tf.Tensor], places: Sequence[tf.Tensor], epoch: tf.Tensor) -> tf.Operation:
        """Returns the operation that moves shared rows; their values must have been written.

        Args:
          rows: for each vocabulary int64 [m], the shared rows to move.
          places: for each vocabulary int32 [m], their new places.
          epoch: int32 [], the epoch since which requests see the new places.
        """
        before, first = self._entries.read_value(), np.cumsum([0, *self._sizes.values()])[:-1]
        indices = tf.concat([each + int(start) for each, start in zip(rows, first, strict=True)], 0)
        new = tf.concat(list(places), 0)
        moved = tf.stack([tf.fill(tf.shape(new), epoch), new, tf.gather(before, indices)[:, NEW]], axis=1)
        return self._entries.assign(tf.tensor_scatter_nd_update(before, indices[:, None], moved), read_value=False)


class SharedBefore(NamedTuple):
    """Present entries of shared rows.

    Attributes:
      since: int32 [m], epochs of their last moves.
      places: int32 [m].
    """

    since: tf.Tensor
    places: tf.Tensor
