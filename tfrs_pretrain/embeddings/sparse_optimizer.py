"""The interface of optimizers that update only the rows of a batch."""

from __future__ import annotations

import abc
import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class SlotSpec:
    """One kind of state that an optimizer stores for each row of a table.

    Attributes:
      width: values per row.
      initial: value before the first update.
    """

    width: int
    initial: float = 0.0


class SparseOptimizer(abc.ABC):
    """Computes the change of distinct rows, and of their state, from their summed gradients."""

    @abc.abstractmethod
    def slot_specs(self, dim: int) -> dict[str, SlotSpec]:
        """The state for rows of width ``dim``, by name."""

    @abc.abstractmethod
    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Compute one update of ``n`` distinct rows.

        Args:
          gradients: float32 [n, dim], summed over the batch.
          slots: name -> float32 [n, width], the state of these rows.
          step: float32 scalar, number of this update of the table; the first is 1.
          learning_rate: scalar.

        Returns:
          float32 [n, dim] to subtract from the rows, and the new state.
        """

    def advance_idle(self, slots: dict[str, tf.Tensor], idle_steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """The state after float32 [n, 1] steps with zero gradient. By default it does not change."""
        del idle_steps
        return slots

    def regularize(self, rows: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """float32 [n, dim] gradients plus those of a penalty on ``rows`` [n, dim]. By default there is no penalty."""
        del rows
        return gradients

    def decay(self, rows: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor | None:
        """float32 [n, dim] to subtract from ``rows`` [n, dim] in addition to the update. By default None, nothing."""
        del rows, slots, step
        return None


@dataclasses.dataclass(frozen=True)
class NoUpdate(SparseOptimizer):
    """The optimizer of a table that is never trained; it has no state."""

    def slot_specs(self, dim: int) -> dict[str, SlotSpec]:
        del dim
        return {}

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        del slots, step, learning_rate
        return tf.zeros_like(gradients), {}
