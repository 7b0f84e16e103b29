"""Embedding tables as plain variables: reading and updating rows costs O(batch) at any table size.

Neither Keras's embedding layer nor its optimizers take part: they cost O(table), and some mistreat repeated ids.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.optimizers import SparseOptimizer


class EmbeddingTable(tf.Module):
    """Rows of one ID space or categorical feature, with the state of their optimizer.

    Create it inside ``strategy.scope()``; the replicas then hold equal copies.

    Args:
      name: name of the table, prefix of its variables.
      initial: float32 [rows, dim].
      optimizer: update rule.
    """

    def __init__(self, name: str, initial: np.ndarray, optimizer: SparseOptimizer):
        super().__init__(name=name)
        self.rows, self.dim = (int(size) for size in initial.shape)
        self.optimizer = optimizer
        self.weights = tf.Variable(initial, trainable=False, dtype=tf.float32, name=f"{name}_weights")
        self.slots = {
            key: tf.Variable(tf.fill([self.rows, slot.columns], slot.initial), trainable=False, name=f"{name}_{key}")
            for key, slot in optimizer.slots(self.dim).items()}
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name=f"{name}_step")

    def gather(self, ids: tf.Tensor) -> tf.Tensor:
        """float32 [..., dim] rows of integer ids [...], in a replica or outside of one."""
        return tf.gather(local(self.weights), ids)

    def apply_gradients(self, ids: tf.Tensor, gradients: tf.Tensor, learning_rate: float | tf.Tensor, *,
                        active: tf.Tensor | None = None, padded: bool = False) -> None:
        """Updates the rows of a batch; gradients of repeated ids are summed first, over all replicas too.

        Args:
          ids: integer [n], this replica's rows, repeats allowed; with several replicas n must be static.
          gradients: float32 [n, dim] of the loss over the *global* batch.
          learning_rate: scalar.
          active: bool scalar; where it is false, neither rows nor their state move (None: they always do).
          padded: whether there may be ids below 0, whose gradients are dropped.

        Raises:
          ValueError: the table has several replicas and this is not called in one of them, or n is not static there.
        """
        ids, gradients = from_all_replicas(ids), from_all_replicas(gradients)
        unique, position = tf.unique(ids)
        summed = tf.math.unsorted_segment_sum(gradients, position, tf.size(unique))
        if padded:
            kept = tf.where(unique >= 0)[:, 0]
            unique, summed = tf.gather(unique, kept), tf.gather(summed, kept)
        self.apply_summed_gradients(unique, summed, learning_rate, active=active)

    def apply_summed_gradients(self, ids: tf.Tensor, gradients: tf.Tensor, learning_rate: float | tf.Tensor, *,
                               active: tf.Tensor | None = None) -> None:
        """Updates distinct rows with gradients that are already summed over the batch and the replicas.

        Args:
          ids: integer [n], distinct, the same on every replica.
          gradients: float32 [n, dim], the same on every replica.
          learning_rate: scalar.
          active: as in ``apply_gradients``.

        Raises:
          ValueError: the table has several replicas and this is not called in one of them.
        """
        self._check_replica()
        slots = {key: local(variable) for key, variable in self.slots.items()}
        step = local(self.step).assign_add(1 if active is None else tf.cast(active, tf.int64))
        updates = tf.cast(step, tf.float32)
        before = {key: tf.gather(slot, ids) for key, slot in slots.items()}
        rows = self.gather(ids)
        gradients = self.optimizer.regularize(rows, gradients)
        delta, state = self.optimizer.update(gradients, before, updates, learning_rate)
        decay = self.optimizer.decay(rows, before, updates)
        if decay is not None:
            delta += decay
        if active is not None:
            delta = tf.where(active, delta, tf.zeros_like(delta))
            state = {key: tf.where(active, values, before[key]) for key, values in state.items()}
        # The rows are distinct, so writing them is the same as subtracting from them, and TensorFlow does it faster.
        local(self.weights).scatter_update(tf.IndexedSlices(rows - delta, ids))
        for key, slot in slots.items():
            slot.scatter_update(tf.IndexedSlices(state[key], ids))

    def reset(self, rows: np.ndarray) -> None:
        """Starts anew at ``rows``, float32 [rows, dim], with fresh optimizer state; call it outside of replicas."""
        self.weights.assign(rows)
        for key, slot in self.optimizer.slots(self.dim).items():
            self.slots[key].assign(tf.fill([self.rows, slot.columns], slot.initial))
        self.step.assign(0)

    def numpy(self) -> np.ndarray:
        """float32 [rows, dim]: a copy of the weights."""
        return np.array(local(self.weights).numpy())

    def _check_replica(self) -> None:
        components = _components(self.weights)
        context = tf.distribute.get_replica_context()
        if len(components) > 1 and (context is None or context.num_replicas_in_sync == 1):
            raise ValueError(f"table {self.name!r} lives on {len(components)} replicas: update it inside strategy.run")


def normal_rows(rows: int, dim: int, scale: float, seed: int) -> np.ndarray:
    """float32 [rows, dim] drawn from a normal distribution with standard deviation ``scale``."""
    return np.random.default_rng(seed).standard_normal((rows, dim), np.float32) * np.float32(scale)


def local(variable: tf.Variable) -> tf.Variable:
    """This replica's copy of a mirrored variable (the first one outside of replicas).

    Reading a mirrored variable itself inside a replica would copy all of it at every step.
    """
    components = _components(variable)
    context = tf.distribute.get_replica_context()
    if context is None:
        return components[0]
    replica = int(tf.get_static_value(context.replica_id_in_sync_group))
    return components[replica % len(components)]


def from_all_replicas(values: tf.Tensor) -> tf.Tensor:
    """[replicas * n, ...]: the values [n, ...] of every replica in replica order, the same on each.

    Raises:
      ValueError: there are several replicas and n is not static. TensorFlow's collectives keep the shape of their first
        use, so a size that changes from step to step would abort a later step.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    if not values.shape.is_fully_defined():
        raise ValueError(f"values of shape {values.shape} cannot be gathered from {context.num_replicas_in_sync} "
                         "replicas: their shape must be static (batch with drop_remainder=True)")
    # The copy lies on the replica's device; TensorFlow refuses to gather across workers what has no device.
    return context.all_gather(tf.identity(values), axis=0)


def _components(variable: tf.Variable) -> tuple[tf.Variable, ...]:
    strategy = getattr(variable, "distribute_strategy", None)
    return strategy.experimental_local_results(variable) if strategy else (variable,)
