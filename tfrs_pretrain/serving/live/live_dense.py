"""Dense weights, statistics of numbers and the prediction of unknown ids in two generations; a request uses one."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.serving.live.epochs import NEW, NOWHERE, SINCE, Epochs

WEIGHT, MEANS, SCALES, COLD = "weight", "means", "scales", "cold/"


class LiveDense(tf.Module):
    """All arrays of ``dense_arrays``, twice.

    Args:
      arrays: arrays of the base version.
      epochs: epochs of the model.

    Attributes:
      num_bytes: size of one generation.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], epochs: Epochs):
        super().__init__(name="dense")
        self._epochs, self._names = epochs, tuple(arrays)
        self._generations = [[tf.Variable(array, trainable=False, name=f"dense_{number}_{generation}")
                              for number, array in enumerate(arrays.values())] for generation in range(2)]
        self._entry = tf.Variable([0, 0, NOWHERE], trainable=False, dtype=tf.int32, name="dense_entry")
        self.num_bytes = sum(array.nbytes for array in arrays.values())

    def read(self) -> dict[str, tf.Tensor]:
        """Returns the arrays that the request uses. They are not copied."""
        with tf.control_dependencies([self._epochs.current()]):
            generation = self._epochs.place(self._entry.read_value())
        first, second = ([variable.read_value for variable in generation] for generation in self._generations)
        values = tf.cond(generation == 0, lambda: [read() for read in first], lambda: [read() for read in second])
        return dict(zip(self._names, values, strict=True))

    def checks(self, content: tf.Tensor, settled: tf.Tensor) -> list[tf.Operation]:
        """Returns assertions that must hold before new arrays are written.

        Args:
          content: string [], all arrays as little-endian float32, one after the other; empty: no change.
          settled: int32 [], see ``Epochs``.
        """
        size = tf.strings.length(content)
        return [tf.debugging.Assert((size == 0) | (size == self.num_bytes), [
                    "live update: expected bytes of dense weights:", self.num_bytes, "received:", size]),
                tf.debugging.Assert((size == 0) | (self._entry.read_value()[SINCE] <= settled), [
                    "live update: dense weights changed less than the grace period ago, wait and send again"])]

    def write(self, content: tf.Tensor, epoch: tf.Tensor) -> list[tf.Operation]:
        """Returns operations that write new arrays to the generation that no request reads, then point to it."""
        before = self._entry.read_value()
        free = 1 - before[NEW]

        def change(generation: list[tf.Variable]) -> tf.Tensor:
            flat = tf.io.decode_raw(content, tf.float32)
            parts = tf.split(flat, [math.prod(variable.shape) for variable in generation])
            writes = [variable.assign(tf.reshape(part, variable.shape), read_value=False)
                      for variable, part in zip(generation, parts, strict=True)]
            with tf.control_dependencies(writes):
                return tf.constant(0)

        changed = tf.strings.length(content) > 0
        first, second = self._generations
        written = tf.switch_case(tf.where(changed, free, 2), [
            lambda: change(first), lambda: change(second), lambda: tf.constant(0)])
        entry = tf.where(changed, tf.stack([epoch, free, before[NEW]]), before)
        with tf.control_dependencies([written]):
            return [self._entry.assign(entry, read_value=False)]


def dense_arrays(ranker: Ranker, cold_sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Returns what an update of the dense part replaces, float32, in the order in which it is sent.

    Args:
      ranker: trained ranker.
      cold_sizes: see ``cold_sizes``.

    Raises:
      UserError: the prediction of unknown ids has effects of more feature values than a size allows.
    """
    arrays = {f"{WEIGHT}{number}": np.asarray(weight, np.float32)
              for number, weight in enumerate(ranker.network.get_weights())}
    numeric = ranker.inputs.numeric.values()
    if numeric:
        arrays |= {MEANS: np.array([spec.mean for spec in numeric], np.float32),
                   SCALES: np.array([spec.scale for spec in numeric], np.float32)}
    return arrays | {f"{COLD}{name}": _padded(name, array, cold_sizes[name]) if name in cold_sizes else array
                     for name, array in _cold_arrays(ranker).items()}


def cold_sizes(ranker: Ranker, spare: Mapping[str, int]) -> dict[str, int]:
    """Returns name of an array of the prediction of unknown ids -> its size with room for new feature values.

    Args:
      ranker: ranker of the base version.
      spare: vocabulary -> number of spare places.
    """
    vocabularies = {row.column: row.vocabulary for row in ranker.inputs.rows}
    return {name: len(array) + spare[vocabularies[name.rpartition("/")[2]]]
            for name, array in _cold_arrays(ranker).items() if "/values/" in name}


def _cold_arrays(ranker: Ranker) -> dict[str, np.ndarray]:
    return {name: np.asarray(array, np.float32) for name, array in
            (ranker.cold_rows.arrays() if ranker.cold_rows else {}).items()}


def _padded(name: str, array: np.ndarray, size: int) -> np.ndarray:
    """Appends rows without an effect."""
    if len(array) > size:
        raise UserError(f"the prediction of unknown ids {name!r} has {len(array)} rows, the served model has room for "
                        f"{size}: export a full version, with a larger export.live_spare")
    return np.concatenate([array, np.zeros((size - len(array), array.shape[1]), np.float32)])
