"""Lazy Adam."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfrs_pretrain.embeddings.sparse_optimizer import SlotSpec, SparseOptimizer


@dataclasses.dataclass(frozen=True)
class LazyAdam(SparseOptimizer):
    """Adam (Kingma and Ba, ICLR 2015, algorithm 1) that updates a row's moments only in the row's own batches.

    The bias correction counts the table's updates, not the row's.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def slot_specs(self, dim: int) -> dict[str, SlotSpec]:
        return {"mean": SlotSpec(dim), "square": SlotSpec(dim)}

    def advance_idle(self, slots: dict[str, tf.Tensor], idle_steps: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mean": slots["mean"] * tf.pow(self.beta_1, idle_steps),
                "square": slots["square"] * tf.pow(self.beta_2, idle_steps)}

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        mean = self.beta_1 * slots["mean"] + (1.0 - self.beta_1) * gradients
        square = self.beta_2 * slots["square"] + (1.0 - self.beta_2) * tf.square(gradients)
        unbiased_mean = mean / (1.0 - tf.pow(self.beta_1, step))
        unbiased_square = square / (1.0 - tf.pow(self.beta_2, step))
        delta = learning_rate * unbiased_mean / (tf.sqrt(unbiased_square) + self.epsilon)
        return delta, {"mean": mean, "square": square}
