"""Adagrad, with one accumulator per weight or per row."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfrs_pretrain.embeddings.sparse_optimizer import SlotSpec, SparseOptimizer


@dataclasses.dataclass(frozen=True)
class Adagrad(SparseOptimizer):
    """Adagrad (Duchi, Hazan and Singer, JMLR 2011): an accumulator of squared gradients per weight.

    The accumulator starts at zero, because gradients of a mean over a large batch are far below Keras's start of 0.1.
    """

    initial_accumulator: float = 0.0
    epsilon: float = 1e-16

    def slot_specs(self, dim: int) -> dict[str, SlotSpec]:
        return {"accumulator": SlotSpec(dim, self.initial_accumulator)}

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        accumulator = slots["accumulator"] + tf.square(gradients)
        return learning_rate * gradients * tf.math.rsqrt(accumulator + self.epsilon), {"accumulator": accumulator}


@dataclasses.dataclass(frozen=True)
class RowwiseAdagrad(SparseOptimizer):
    """Adagrad with one accumulator per row: the sum over updates of the row's mean squared gradient.

    It needs 1 / dim of Adagrad's state (Gupta et al., "Training Recommender Systems at Scale", arXiv 2010.08899).
    """

    initial_accumulator: float = 0.0
    epsilon: float = 1e-16

    def slot_specs(self, dim: int) -> dict[str, SlotSpec]:
        return {"accumulator": SlotSpec(1, self.initial_accumulator)}

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        accumulator = slots["accumulator"] + tf.reduce_mean(tf.square(gradients), axis=1, keepdims=True)
        return learning_rate * gradients * tf.math.rsqrt(accumulator + self.epsilon), {"accumulator": accumulator}
