"""Dense weights and statistics of numbers in two generations, of which a request uses one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.serving.live.epochs import NEW, NOWHERE, SINCE, Epochs


class LiveDense(tf.Module):
    """The weights of the network, and mean and scale of numeric features.

    Args:
      ranker: ranker of the base version.
      epochs: epochs of the model.

    Attributes:
      num_bytes: size of one generation.
    """

    def __init__(self, ranker: Ranker, epochs: Epochs):
        super().__init__(name="dense")
        self._epochs, self._numeric = epochs, tuple(ranker.inputs.numeric)
        arrays = dense_arrays(ranker)
        self._generations = [tf.Variable(np.stack([array, array]), trainable=False, name=f"dense_{number}")
                             for number, array in enumerate(arrays)]
        self._entry = tf.Variable([0, 0, NOWHERE], trainable=False, dtype=tf.int32, name="dense_entry")
        self.num_bytes = sum(array.nbytes for array in arrays)

    def weights(self) -> list[tf.Tensor]:
        """Returns the weights of the network."""
        return self._read()[:len(self._generations) - 2 * bool(self._numeric)]

    def moments(self) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """Returns mean and scale of each numeric feature."""
        if not self._numeric:
            return {}
        means, scales = (tf.unstack(values) for values in self._read()[-2:])
        return dict(zip(self._numeric, zip(means, scales, strict=True), strict=True))

    def _read(self) -> list[tf.Tensor]:
        with tf.control_dependencies([self._epochs.current()]):
            generation = self._epochs.place(self._entry.read_value())
        return [tf.gather(variable, generation) for variable in self._generations]

    def checks(self, content: tf.Tensor, settled: tf.Tensor) -> list[tf.Operation]:
        """Returns assertions that must hold before new weights are written.

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
        """Returns operations that write new weights to the generation that no request reads, then point to it."""
        before = self._entry.read_value()
        free = 1 - before[NEW]
        changed = tf.strings.length(content) > 0
        # Without new weights nothing is written: a request may still read the other generation.
        count = tf.cast(changed, tf.int32)
        flat = tf.io.decode_raw(tf.where(changed, content, b"\0" * self.num_bytes), tf.float32)
        sizes = [math.prod(variable.shape[1:]) for variable in self._generations]
        writes = [tf.raw_ops.ResourceScatterUpdate(resource=variable.handle, indices=free[None][:count],
                                                   updates=tf.reshape(part, [1, *variable.shape[1:]])[:count])
                  for variable, part in zip(self._generations, tf.split(flat, sizes), strict=True)]
        entry = tf.where(changed, tf.stack([epoch, free, before[NEW]]), before)
        with tf.control_dependencies(writes):
            return [self._entry.assign(entry, read_value=False)]


def dense_arrays(ranker: Ranker) -> list[np.ndarray]:
    """Returns the weights of the network and, if there are numeric features, their means and their scales, float32."""
    arrays: list[Any] = [np.asarray(weight, np.float32) for weight in ranker.network.get_weights()]
    numeric = ranker.inputs.numeric.values()
    if numeric:
        arrays += [np.array([spec.mean for spec in numeric], np.float32),
                   np.array([spec.scale for spec in numeric], np.float32)]
    return arrays
