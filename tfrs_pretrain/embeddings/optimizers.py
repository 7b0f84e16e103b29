"""Update rules that touch only the rows of a batch, for both stages."""

from __future__ import annotations

import abc
import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Slot:
    """State kept beside each row of a table.

    Attributes:
      columns: values per row.
      initial: value before the first update.
    """

    columns: int
    initial: float = 0.0


class SparseOptimizer(abc.ABC):
    """A rule from the summed gradients of distinct rows to the change of these rows and their state."""

    @abc.abstractmethod
    def slots(self, dim: int) -> dict[str, Slot]:
        """State that the rule needs for rows of ``dim`` columns, by name."""

    @abc.abstractmethod
    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """One update of ``n`` distinct rows.

        Args:
          gradients: float32 [n, dim], summed over the batch.
          slots: name -> float32 [n, columns], the state of these rows.
          step: float32 scalar, updates of the table including this one (1 at the first).
          learning_rate: scalar.

        Returns:
          float32 [n, dim] to subtract from the rows, and the new state.
        """

    def rested(self, slots: dict[str, tf.Tensor], absences: tf.Tensor) -> dict[str, tf.Tensor]:
        """The state of rows after float32 [n, 1] steps in which their gradient was zero; here it stands still."""
        del absences
        return slots

    def regularize(self, rows: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """float32 [n, dim] gradients with those of a penalty on the ``rows`` [n, dim]; here there is none."""
        del rows
        return gradients

    def decay(self, rows: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor | None:
        """float32 [n, dim] to subtract from the ``rows`` [n, dim] beside the update; None, as here: nothing."""
        del rows, slots, step
        return None


@dataclasses.dataclass(frozen=True)
class LazyAdam(SparseOptimizer):
    """Adam (Kingma and Ba, ICLR 2015, algorithm 1) in which a row's moments stand still while the row is absent.

    The bias correction counts the table's updates, not the row's.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def slots(self, dim: int) -> dict[str, Slot]:
        return {"mean": Slot(dim), "square": Slot(dim)}

    def rested(self, slots: dict[str, tf.Tensor], absences: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mean": slots["mean"] * tf.pow(self.beta_1, absences),
                "square": slots["square"] * tf.pow(self.beta_2, absences)}

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        mean = self.beta_1 * slots["mean"] + (1.0 - self.beta_1) * gradients
        square = self.beta_2 * slots["square"] + (1.0 - self.beta_2) * tf.square(gradients)
        unbiased_mean = mean / (1.0 - tf.pow(self.beta_1, step))
        unbiased_square = square / (1.0 - tf.pow(self.beta_2, step))
        delta = learning_rate * unbiased_mean / (tf.sqrt(unbiased_square) + self.epsilon)
        return delta, {"mean": mean, "square": square}


@dataclasses.dataclass(frozen=True)
class Adagrad(SparseOptimizer):
    """Adagrad (Duchi, Hazan and Singer, JMLR 2011): each weight's own sum of squared gradients.

    The sum starts at zero, because gradients of a mean over a large batch are far below Keras's start of 0.1.
    """

    initial_accumulator: float = 0.0
    epsilon: float = 1e-16

    def slots(self, dim: int) -> dict[str, Slot]:
        return {"accumulator": Slot(dim, self.initial_accumulator)}

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        accumulator = slots["accumulator"] + tf.square(gradients)
        return learning_rate * gradients * tf.math.rsqrt(accumulator + self.epsilon), {"accumulator": accumulator}


@dataclasses.dataclass(frozen=True)
class RowwiseAdagrad(SparseOptimizer):
    """Adagrad with one accumulator a row: the sum over updates of the mean squared gradient of the row.

    It needs 1 / dim of Adagrad's state (Gupta et al., "Training Recommender Systems at Scale", arXiv 2010.08899).
    """

    initial_accumulator: float = 0.0
    epsilon: float = 1e-16

    def slots(self, dim: int) -> dict[str, Slot]:
        return {"accumulator": Slot(1, self.initial_accumulator)}

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        accumulator = slots["accumulator"] + tf.reduce_mean(tf.square(gradients), axis=1, keepdims=True)
        return learning_rate * gradients * tf.math.rsqrt(accumulator + self.epsilon), {"accumulator": accumulator}


@dataclasses.dataclass(frozen=True)
class Decayed(SparseOptimizer):
    """Another rule with an L2 penalty on the rows of the batch: their gradients grow by ``l2 * row``.

    A row is pulled to zero once in each update that it takes part in, so frequent rows feel the penalty often and rare
    rows, which overfit first, hardly at all; ``IntervalDecay`` makes up for that.
    """

    rule: SparseOptimizer
    l2: float

    def slots(self, dim: int) -> dict[str, Slot]:
        return self.rule.slots(dim)

    def rested(self, slots: dict[str, tf.Tensor], absences: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.rule.rested(slots, absences)

    def regularize(self, rows: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        return gradients + self.l2 * rows

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return self.rule.update(gradients, slots, step, learning_rate)


@dataclasses.dataclass(frozen=True)
class IntervalDecay(SparseOptimizer):
    """Another rule with frequency-adaptive decay: AdamAR over lazy Adam, AdagradAR over Adagrad.

    Li and Lyu, "Adaptive Regularization for Large-Scale Sparse Feature Embedding Models" (ICLR 2026, arXiv 2511.06374),
    section 3.1 and algorithm 1: at step k a row that was last updated at step s shrinks by the factor
    1 - min(1, alpha * (k - s - 1)), beside the update and outside its moments, as in AdamW. Rows of every batch do not
    shrink, rare rows shrink most.

    As everywhere here, a row moves only in the steps that it takes part in: it shrinks once, when it is met again, and
    where the algorithm lets momentum move it meanwhile, it stands still. Its moments then are those that every step had
    updated, as in the algorithm: momentum that outlived the absence would bring back what the decay takes, and rare
    rows would still be memorised.

    Before its first update a row does not shrink. The paper's rows start at zero, where this makes no difference; here
    it keeps pretrained rows whole until the ranker meets them.
    """

    rule: SparseOptimizer
    alpha: float

    def slots(self, dim: int) -> dict[str, Slot]:
        return self.rule.slots(dim) | {"last_step": Slot(1)}

    def regularize(self, rows: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        return self.rule.regularize(rows, gradients)

    def decay(self, rows: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
        return tf.minimum(self.alpha * _interval(slots, step), 1.0) * rows

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        rested = self.rule.rested(slots, _interval(slots, step))
        delta, state = self.rule.update(gradients, rested, step, learning_rate)
        return delta, state | {"last_step": tf.fill(tf.shape(slots["last_step"]), step)}


def _interval(slots: dict[str, tf.Tensor], step: tf.Tensor) -> tf.Tensor:
    """float32 [n, 1]: steps since the last update of each row, 0 before the first."""
    last = slots["last_step"]
    return tf.where(last > 0, step - last - 1.0, tf.zeros_like(last))


@dataclasses.dataclass(frozen=True)
class NoUpdate(SparseOptimizer):
    """The rule of a table that never moves, or is never trained again; it needs no state."""

    def slots(self, dim: int) -> dict[str, Slot]:
        del dim
        return {}

    def update(self, gradients: tf.Tensor, slots: dict[str, tf.Tensor], step: tf.Tensor,
               learning_rate: float | tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        del slots, step, learning_rate
        return tf.zeros_like(gradients), {}


OPTIMIZERS: dict[str, type[SparseOptimizer]] = {
    "lazy_adam": LazyAdam, "rowwise_adagrad": RowwiseAdagrad, "adagrad": Adagrad}


def make_optimizer(name: str, *, l2: float = 0.0, interval_decay: float = 0.0) -> SparseOptimizer:
    """The rule that the configuration names.

    Args:
      name: key of ``OPTIMIZERS``.
      l2: penalty of ``Decayed`` where positive.
      interval_decay: alpha of ``IntervalDecay`` where positive.

    Raises:
      ValueError: no rule has this name.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown sparse optimizer {name!r}: expected one of {sorted(OPTIMIZERS)}")
    rule: SparseOptimizer = OPTIMIZERS[name]()
    if l2:
        rule = Decayed(rule, l2)
    return IntervalDecay(rule, interval_decay) if interval_decay else rule
