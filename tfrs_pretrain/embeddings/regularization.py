"""Regularisation around another sparse optimizer: an L2 penalty, and decay by absence."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfrs_pretrain.embeddings.sparse_optimizer import SlotSpec, SparseOptimizer


@dataclasses.dataclass(frozen=True)
class L2Regularized(SparseOptimizer):
    """Adds an L2 penalty on the rows of the batch: their gradients grow by ``l2 * row``.

    The penalty acts once per update that the row takes part in. Frequent rows are therefore penalised often, and rare
    rows, which overfit first, hardly at all; ``IntervalDecay`` compensates for that.

    Attributes:
      optimizer: computes the update.
      l2: weight of the penalty.
    """

    optimizer: SparseOptimizer
    l2: float

    def slot_specs(self, dim: int) -> dict[str, SlotSpec]:
        return self.optimizer.slot_specs(dim)

    def advance_idle(self, slots: dict[str, tf.Tensor], idle_steps: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.optimizer.advance_idle(slots, idle_steps)

    def regularize(self, rows: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        return gradients + self.l2 * rows

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return self.optimizer.update(gradients, slots, step, learning_rate)


@dataclasses.dataclass(frozen=True)
class IntervalDecay(SparseOptimizer):
    """Adds frequency-adaptive decay: AdamAR over lazy Adam, AdagradAR over Adagrad.

    Li and Lyu, "Adaptive Regularization for Large-Scale Sparse Feature Embedding Models" (ICLR 2026, arXiv 2511.06374),
    section 3.1 and algorithm 1: at step k a row that was last updated at step s shrinks by the factor
    1 - min(1, alpha * (k - s - 1)). As in AdamW, the decay is separate from the update and its moments. Rows of every
    batch do not shrink; rare rows shrink most.

    Two differences from the algorithm, because here a row changes only in the steps that it takes part in. It shrinks
    once, at its next update, for the whole interval. Momentum does not move it during the interval; its moments
    nevertheless decay as in the algorithm, because momentum that survived the interval would undo the decay and rare
    rows would still be memorised.

    A row does not shrink before its first update. The paper initialises rows to zero, where this makes no difference;
    here it preserves pretrained rows until the ranker first trains them.

    Attributes:
      optimizer: computes the update.
      alpha: decay per step of absence.
    """

    optimizer: SparseOptimizer
    alpha: float

    def slot_specs(self, dim: int) -> dict[str, SlotSpec]:
        return self.optimizer.slot_specs(dim) | {"last_step": SlotSpec(1)}

    def regularize(self, rows: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        return self.optimizer.regularize(rows, gradients)

    def decay(self, rows: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
        return tf.minimum(self.alpha * _idle_steps(slots, step), 1.0) * rows

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        advanced = self.optimizer.advance_idle(slots, _idle_steps(slots, step))
        delta, state = self.optimizer.update(gradients, advanced, step, learning_rate)
        return delta, state | {"last_step": tf.fill(tf.shape(slots["last_step"]), step)}


def _idle_steps(slots: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
    """float32 [n, 1]: steps between the last update of each row and this one, 0 before its first update."""
    last = slots["last_step"]
    return tf.where(last > 0, step - last - 1.0, tf.zeros_like(last))
