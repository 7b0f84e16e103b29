"""Embedding tables as plain variables: reading and updating rows costs O(batch) at any table size.

Keras's embedding layer and optimizers are not used: they cost O(table), and some mistreat repeated ids.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.embeddings.placement import REPLICATED, Placement
from tfrs_pretrain.embeddings.replicas import gather_from_replicas, local_copy, replica_copies
from tfrs_pretrain.embeddings.sparse_optimizer import SlotSpec, SparseOptimizer


class EmbeddingTable(tf.Module):
    """The rows of an ID space or a categorical feature, with their optimizer state.

    Create it inside ``strategy.scope()``.

    Args:
      name: name of the table, prefix of its variables.
      initial: float32 [num_rows, dim].
      optimizer: update rule.
      placement: of the rows and their state; by default, each replica has an equal copy.
    """

    def __init__(self, name: str, initial: np.ndarray, optimizer: SparseOptimizer, *,
                 placement: Placement = REPLICATED):
        super().__init__(name=name)
        self.num_rows, self.dim = (int(size) for size in initial.shape)
        self.optimizer, self.placement = optimizer, placement
        self.weights = placement.variable(f"{name}_weights", np.asarray(initial, np.float32))
        self.slots = {key: placement.filled(f"{name}_{key}", self.num_rows, spec.width, spec.initial)
                      for key, spec in self._slot_specs.items()}
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name=f"{name}_step")

    @property
    def placed_variables(self) -> tuple[PlacedVariable, ...]:
        """Weights, slots and step as whole arrays, to be stored and restored."""
        arrays = (self.weights, *self.slots.values())
        return (*(PlacedVariable(variable, self.placement, self.num_rows) for variable in arrays),
                PlacedVariable(self.step))

    def gather(self, ids: tf.Tensor) -> tf.Tensor:
        """float32 [..., dim]: the rows of integer ids [...]; inside or outside of a replica."""
        return self.placement.gather(self.weights, ids)

    def gather_shared(self, ids: tf.Tensor, max_ids: int | None) -> tf.Tensor:
        """float32 [n, dim]: the rows of integer ids [n] that are the same on every replica, at most ``max_ids``."""
        return self.placement.gather_shared(self.weights, ids, max_ids)

    def apply_gradients(self, ids: tf.Tensor, gradients: tf.Tensor, learning_rate: float | tf.Tensor, *,
                        active: tf.Tensor | None = None, padded: bool = False,
                        row_scales: tf.Variable | None = None) -> None:
        """Update the rows of a batch; gradients of repeated ids are summed first, also over all replicas.

        Args:
          ids: integer [n], this replica's rows, repeats allowed; with several replicas n must be static.
          gradients: float32 [n, dim] of the loss over the *global* batch.
          learning_rate: scalar.
          active: bool scalar; where false, neither rows nor state change. None means true.
          padded: whether ids below 0 occur; their gradients are dropped.
          row_scales: as in ``apply_summed_gradients``.

        Raises:
          ValueError: the table has several replicas and this is not called in one of them, or n is not static there.
        """
        self._check_replica()
        ids, gradients = self.placement.own(gather_from_replicas(ids), gather_from_replicas(gradients))
        unique, position = tf.unique(ids)
        summed = tf.math.unsorted_segment_sum(gradients, position, tf.size(unique))
        if padded:
            valid = tf.where(unique >= 0)[:, 0]
            unique, summed = tf.gather(unique, valid), tf.gather(summed, valid)
        self._update_own(unique, summed, learning_rate, active, row_scales)

    def apply_summed_gradients(self, ids: tf.Tensor, gradients: tf.Tensor, learning_rate: float | tf.Tensor, *,
                               active: tf.Tensor | None = None, row_scales: tf.Variable | None = None) -> None:
        """Update distinct rows with gradients that are already summed over the batch and the replicas.

        Args:
          ids: integer [n], distinct, the same on every replica.
          gradients: float32 [n, dim], the same on every replica.
          learning_rate: scalar.
          active: as in ``apply_gradients``.
          row_scales: float32 [num_rows] with the table's placement, factor of each row's learning rate. None means 1.

        Raises:
          ValueError: the table has several replicas and this is not called in one of them.
        """
        self._check_replica()
        self._update_own(*self.placement.own(ids, gradients), learning_rate, active, row_scales)

    def _update_own(self, ids: tf.Tensor, gradients: tf.Tensor, learning_rate: float | tf.Tensor,
                    active: tf.Tensor | None, row_scales: tf.Variable | None) -> None:
        """Update the distinct rows at positions ``ids`` of this replica's variables."""
        step = tf.cast(local_copy(self.step).assign_add(1 if active is None else tf.cast(active, tf.int64)), tf.float32)
        self.placement.update(functools.partial(self._write, row_scales), ids, gradients, step, learning_rate, active)

    def _write(self, row_scales: tf.Variable | None, ids: tf.Tensor, gradients: tf.Tensor, step: tf.Tensor,
               learning_rate: float | tf.Tensor, active: tf.Tensor | None) -> None:
        """Write rows and state after the update number ``step``."""
        slots = {key: local_copy(variable) for key, variable in self.slots.items()}
        before = {key: tf.gather(slot, ids) for key, slot in slots.items()}
        rows = tf.gather(local_copy(self.weights), ids)
        if row_scales is not None:
            learning_rate *= tf.gather(local_copy(row_scales), ids)[:, None]
        delta, after = self._update(rows, gradients, before, step, learning_rate)
        if active is not None:
            delta = tf.where(active, delta, tf.zeros_like(delta))
            after = {key: tf.where(active, values, before[key]) for key, values in after.items()}
        # The rows are distinct, so writing them equals subtracting from them, and TensorFlow writes faster.
        local_copy(self.weights).scatter_update(tf.IndexedSlices(rows - delta, ids))
        for key, slot in slots.items():
            slot.scatter_update(tf.IndexedSlices(after[key], ids))

    def reset(self, initial: np.ndarray) -> None:
        """Replace the weights by float32 [num_rows, dim] and reset the optimizer; call it outside of replicas."""
        self.placement.assign(self.weights, initial)
        for key, spec in self._slot_specs.items():
            self.placement.fill(self.slots[key], spec.initial)
        self.step.assign(0)

    def numpy(self) -> np.ndarray:
        """float32 [num_rows, dim]: a copy of the weights."""
        return self.placed_variables[0].numpy()

    @property
    def _slot_specs(self) -> dict[str, SlotSpec]:
        return self.optimizer.slot_specs(self.dim)

    def _update(self, rows: tf.Tensor, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
                learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """float32 [n, dim] to subtract from the rows, with regularisation and decay, and their new state."""
        gradients = self.optimizer.regularize(rows, gradients)
        delta, state = self.optimizer.update(gradients, slots, step, learning_rate)
        decay = self.optimizer.decay(rows, slots, step)
        return (delta if decay is None else delta + decay), state

    def _check_replica(self) -> None:
        copies = replica_copies(self.step)  # with every placement, a copy on each replica
        context = tf.distribute.get_replica_context()
        if len(copies) > 1 and (context is None or context.num_replicas_in_sync == 1):
            raise ValueError(f"table {self.name!r} is on {len(copies)} replicas: update it inside strategy.run")


def normal_matrix(num_rows: int, dim: int, stddev: float, seed: int) -> np.ndarray:
    """float32 [num_rows, dim] drawn from a normal distribution with mean 0."""
    return np.random.default_rng(seed).standard_normal((num_rows, dim), np.float32) * np.float32(stddev)
