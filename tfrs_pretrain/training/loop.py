"""The training loop of one epoch, for both stages."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Mapping

import numpy as np
import tensorflow as tf

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import Meter
from tfrs_pretrain.training.compiled_loop import EXAMPLES, Step, compiled_loop
from tfrs_pretrain.training.epoch_state import EpochState
from tfrs_pretrain.training.replica_batches import distribute_batches

STEPS_PER_CALL = 32  # enough to hide Python's overhead, few enough for a lively progress bar


class NonFiniteLossError(UserError):
    """The loss, or another scalar of a step, is not finite.

    Attributes:
      step: number of the step in the epoch; the first is 1.
    """

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step


def run_epoch(strategy: tf.distribute.Strategy, step: Step, batches: tf.data.Dataset, *, steps: int, meter: Meter,
              title: str = "", start: EpochState | None = None, pause_steps: Collection[int] = (),
              on_pause: Callable[[EpochState], None] | None = None) -> dict[str, float]:
    """Run ``step`` on the global batches of an epoch.

    Pass the same function, or a method of the same object, in every epoch: it is traced once.

    Args:
      strategy: from ``build_strategy``.
      step: runs on each replica with its part of the batch and returns scalars, among them "loss".
      batches: global batches, at least as many as steps are left, tensors [batch, ...] in any structure; with several
        replicas the batch must be a static multiple of their number (``drop_remainder``).
      steps: steps of the whole epoch.
      meter: advanced by the number of examples.
      title: text to show before the running loss.
      start: position to resume the epoch from.
      pause_steps: steps of the epoch after which to call ``on_pause``, beside the regular calls.
      on_pause: called after the last step and at least every ``STEPS_PER_CALL`` steps.

    Returns:
      scalar name -> mean over the steps of the mean over the replicas. This is the mean over all examples if each
      scalar is a mean over the replica's examples and all batches have the same size.

    Raises:
      NonFiniteLossError: the loss, or another scalar, is not finite.
      UserError: the batches end early.
    """
    loop = compiled_loop(strategy, step)
    iterator = iter(distribute_batches(strategy, batches))
    state = start or EpochState()
    ends = sorted({*pause_steps, steps})
    while state.steps_done < steps:
        done = state.steps_done
        count = min(STEPS_PER_CALL, ends[bisect.bisect_right(ends, done)] - done)
        try:
            values = loop(iterator, count)
        except (tf.errors.OutOfRangeError, tf.errors.FailedPreconditionError, StopIteration) as error:
            raise UserError(f"the data ended between steps {done + 1} and {done + count} of {steps}: the dataset "
                            "contains fewer examples than its manifest says; rebuild it") from error
        _check_finite(values, done, steps)
        meter.advance(float(values.pop(EXAMPLES).sum()))
        state = _advance(state, values, count)
        meter.note(f"{title}loss {values['loss'].mean():.4f}")
        if on_pause:
            on_pause(state)
    return {name: total / steps for name, total in state.totals.items()}


def _advance(state: EpochState, values: Mapping[str, np.ndarray], count: int) -> EpochState:
    totals = {name: state.totals.get(name, 0.0) + float(column.sum()) for name, column in values.items()}
    return EpochState(state.steps_done + count, totals)


def _check_finite(values: Mapping[str, np.ndarray], done: int, steps: int) -> None:
    """Raise NonFiniteLossError for the first step with a scalar that is not finite, the loss before others."""
    bad = [(int(np.argmax(~np.isfinite(column))), name != "loss", name) for name, column in values.items()
           if not np.isfinite(column).all()]
    if bad:
        index, _, name = min(bad)
        step, what = done + 1 + index, "loss" if name == "loss" else f"scalar {name!r}"
        raise NonFiniteLossError(f"the {what} is not finite at step {step} of {steps}: lower the learning rate, or "
                                 "look for extreme values in the input", step)
