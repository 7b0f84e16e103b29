"""Rows in host memory: the devices store none of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

from tfrs_pretrain.embeddings.placement import BLOCK_ROWS, Placement

DEVICE = "CPU:0"


class Host(Placement):
    """One copy of all rows per process, which all of its replicas read.

    Only rows in use move: the distinct rows of a batch to the replica that reads them, and the summed gradients of
    distinct rows, which the replicas know alike, from the first of them to the host. There the update runs once.
    """

    def variable(self, name: str, values: np.ndarray) -> tf.Variable:
        with tf.device(DEVICE):
            return super().variable(name, values)

    def filled(self, name: str, num_rows: int, width: int, value: float) -> tf.Variable:
        with tf.device(DEVICE):
            return super().filled(name, num_rows, width, value)

    def fill(self, variable: tf.Variable, value: float) -> None:
        with tf.device(DEVICE):
            super().fill(variable, value)

    def stored_rows(self, num_rows: int) -> int:
        return num_rows

    def assign(self, variable: tf.Variable, values: np.ndarray) -> None:
        with tf.device(DEVICE):
            for start in range(0, len(values), BLOCK_ROWS):
                block = np.ascontiguousarray(values[start:start + BLOCK_ROWS])
                variable.scatter_update(tf.IndexedSlices(block, np.arange(start, start + len(block))))

    def gather(self, variable: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
        with tf.device(DEVICE):
            unique, positions = tf.unique(tf.reshape(ids, [-1]), tf.int64)  # a GPU would leave int32 on the host
            rows = tf.gather(variable, unique)
            positions = tf.ensure_shape(tf.reshape(positions, tf.shape(ids)), ids.shape)
        return tf.gather(rows, positions)

    def gather_shared(self, variable: tf.Variable, ids: tf.Tensor, max_ids: int | None) -> tf.Tensor:
        del max_ids
        with tf.device(DEVICE):
            return tf.gather(variable, ids)

    def own(self, ids: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return ids, values

    def update(self, write: Callable[..., None], *values: Any) -> None:
        context = tf.distribute.get_replica_context()
        # Between replicas: TensorFlow would otherwise order a replica's reads after the writes of those before it.
        context.merge_call(functools.partial(_on_host, write), args=values)

    def _create(self, name: str, values: tf.Tensor) -> tf.Variable:
        # ``tf.Variable`` would create a copy on each replica inside a strategy's scope.
        return ResourceVariable(values, trainable=False, name=name)


def _on_host(write: Callable[..., None], strategy: tf.distribute.Strategy, *values: Any) -> None:
    """Call ``write`` with the values of the first replica of this process."""
    with tf.device(DEVICE):
        write(*(strategy.experimental_local_results(value)[0] for value in values))


HOST = Host()
