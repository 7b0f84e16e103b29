"""Rows dealt over the replicas: memory per replica is the table's divided by their number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfrs_pretrain.array_files import BLOCK_ROWS
from tfrs_pretrain.embeddings.placement import Placement
from tfrs_pretrain.embeddings.replicas import gather_from_replicas, local_copy, replica_copies, sum_over_replicas
from tfrs_pretrain.row_arrays import Rows


class Sharded(Placement):
    """Row r is on replica ``r % replicas``, at position ``r // replicas``.

    A replica reads rows by a sum over all replicas, to which each contributes the rows that it owns and zeros. Each
    row is updated by its owner only. All replicas must belong to this process.

    Args:
      replicas: number of replicas, at least 2.
    """

    def __init__(self, replicas: int):
        self._replicas = replicas

    def stored_rows(self, num_rows: int) -> int:
        return -(-num_rows // self._replicas)

    def assign(self, variable: tf.Variable, values: Rows) -> None:
        for start in range(0, len(values), BLOCK_ROWS):
            self._assign_block(variable, start, values[start:start + BLOCK_ROWS])

    def gather(self, variable: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
        if not _in_replica():
            return self._gather_from_copies(replica_copies(variable), ids)
        flat = tf.reshape(ids, [-1])
        rows = _sum(self._own_rows(variable, gather_from_replicas(flat)))
        start = tf.distribute.get_replica_context().replica_id_in_sync_group * tf.size(flat)
        rows = tf.reshape(rows[start:start + tf.size(flat)], [*ids.shape, *variable.shape[1:]])
        return tf.cast(rows, variable.dtype)

    def gather_shared(self, variable: tf.Variable, ids: tf.Tensor, max_ids: int | None) -> tf.Tensor:
        if not _in_replica():
            return self._gather_from_copies(replica_copies(variable), ids)
        return tf.cast(sum_over_replicas(self._own_rows(variable, ids), max_ids), variable.dtype)

    def own(self, ids: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        positions = tf.where(self._is_own(ids))[:, 0]
        return tf.gather(ids, positions) // self._replicas, tf.gather(values, positions)

    def _create(self, name: str, values: tf.Tensor) -> tf.Variable:
        # The copies of such a variable may differ; TensorFlow combines them only if the variable itself is read.
        return tf.Variable(values, trainable=False, name=name, synchronization=tf.VariableSynchronization.ON_READ,
                           aggregation=tf.VariableAggregation.NONE)

    def _assign_block(self, variable: tf.Variable, start: int, values: np.ndarray) -> None:
        """Set the rows from ``start`` on."""
        for shard, copy in enumerate(replica_copies(variable)):
            first = (shard - start) % self._replicas
            own = values[first::self._replicas]
            position = (start + first) // self._replicas
            positions = np.arange(position, position + len(own), dtype=np.int32)  # see TouchedRows.mark
            copy.scatter_update(tf.IndexedSlices(np.ascontiguousarray(own), positions))

    def _is_own(self, ids: tf.Tensor) -> tf.Tensor:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return ids % self._replicas == tf.cast(replica, ids.dtype)

    def _own_rows(self, variable: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
        """float32 [n, ...]: the rows of ids [n] that this replica owns, zeros for the others."""
        is_own = self._is_own(ids)
        rows = tf.cast(tf.gather(local_copy(variable), tf.where(is_own, ids // self._replicas, 0)), tf.float32)
        return tf.where(tf.reshape(is_own, [-1, *[1] * (rows.shape.rank - 1)]), rows, tf.zeros_like(rows))

    def _gather_from_copies(self, copies: Sequence[tf.Variable], ids: tf.Tensor) -> tf.Tensor:
        """Outside of replicas: each part of the ids from the copy that owns it."""
        ids = tf.convert_to_tensor(ids)
        flat = tf.reshape(ids, [-1])
        owner = tf.cast(flat % self._replicas, tf.int32)
        positions = tf.dynamic_partition(tf.range(tf.size(flat)), owner, self._replicas)
        parts = tf.dynamic_partition(flat // self._replicas, owner, self._replicas)
        rows = tf.dynamic_stitch(positions, [tf.gather(copy, part) for copy, part in zip(copies, parts, strict=True)])
        return tf.reshape(rows, tf.concat([tf.shape(ids), copies[0].shape[1:]], 0))


def _in_replica() -> bool:
    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1


def _sum(rows: tf.Tensor) -> tf.Tensor:
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, rows)
