"""Learning rates that change during training."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from tfrs_pretrain.errors import UserError

Schedule = Callable[[tf.Tensor], tf.Tensor]


def make_schedule(name: str, learning_rate: float, steps: int, *, warmup_steps: int = 0) -> Schedule:
    """The learning rate as a function of the number of finished steps, an integer scalar.

    Args:
      name: "constant", or "linear" or "cosine", which fall from ``learning_rate`` after the warm-up to 0 after the last
        step.
      learning_rate: the largest rate.
      steps: steps of the whole run.
      warmup_steps: steps over which the rate first grows linearly; the schedule covers the steps after them.

    Raises:
      ValueError: there is no such schedule.
      UserError: the warm-up is as long as the run.
    """
    if name not in ("constant", "linear", "cosine"):
        raise ValueError(f"unknown learning rate schedule {name!r}: expected 'constant', 'linear' or 'cosine'")
    if warmup_steps and warmup_steps >= steps:
        raise UserError(f"warmup_steps is {warmup_steps}, but the run has only {steps} steps: lower it")

    def after_warmup(step: tf.Tensor) -> tf.Tensor:
        if name == "constant":
            return tf.fill(tf.shape(step), learning_rate)
        left = tf.maximum(1.0 - tf.cast(step, tf.float32) / (steps - warmup_steps), 0.0)
        return learning_rate * (left if name == "linear" else 0.5 - 0.5 * tf.cos(math.pi * left))

    def rate(step: tf.Tensor) -> tf.Tensor:
        growing = learning_rate * tf.cast(step + 1, tf.float32) / (warmup_steps + 1)
        return tf.where(step < warmup_steps, growing, after_warmup(tf.maximum(step - warmup_steps, 0)))

    return rate if warmup_steps else after_warmup
