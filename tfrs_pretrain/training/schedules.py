"""Learning rates that change while a stage trains."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from tfrs_pretrain.errors import UserError

Schedule = Callable[[tf.Tensor], tf.Tensor]


def make_schedule(name: str, learning_rate: float, steps: int, *, warmup_steps: int = 0) -> Schedule:
    """The schedule that the configuration names, as a function of the integer number of steps done.

    Args:
      name: "constant"; "linear" or "cosine": from ``learning_rate`` after the warm-up down to 0 after the last step.
      learning_rate: largest rate.
      steps: steps of the whole run.
      warmup_steps: steps over which the rate first grows in equal parts; the schedule runs over the rest.

    Raises:
      ValueError: no schedule has this name.
      UserError: the warm-up takes the whole run.
    """
    if name not in ("constant", "linear", "cosine"):
        raise ValueError(f"unknown learning rate schedule {name!r}: expected 'constant', 'linear' or 'cosine'")
    if warmup_steps and warmup_steps >= steps:
        raise UserError(f"warmup_steps is {warmup_steps}, but the run has only {steps} steps: lower it")

    def after_warmup(done: tf.Tensor) -> tf.Tensor:
        if name == "constant":
            return tf.fill(tf.shape(done), learning_rate)
        left = tf.maximum(1.0 - tf.cast(done, tf.float32) / (steps - warmup_steps), 0.0)
        return learning_rate * (left if name == "linear" else 0.5 - 0.5 * tf.cos(math.pi * left))

    def rate(done: tf.Tensor) -> tf.Tensor:
        growing = learning_rate * tf.cast(done + 1, tf.float32) / (warmup_steps + 1)
        return tf.where(done < warmup_steps, growing, after_warmup(tf.maximum(done - warmup_steps, 0)))

    return rate if warmup_steps else after_warmup
