"""Learning rates that change while a stage trains."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

Schedule = Callable[[tf.Tensor], tf.Tensor]


def make_schedule(name: str, learning_rate: float, steps: int) -> Schedule:
    """The schedule that the configuration names, as a function of the integer number of steps done.

    Args:
      name: "constant", or "linear": from ``learning_rate`` at the first step down to 0 after the last.
      learning_rate: of the first step.
      steps: steps of the whole run.

    Raises:
      ValueError: no schedule has this name.
    """
    if name == "constant":
        return lambda done: tf.fill(tf.shape(done), learning_rate)
    if name == "linear":
        return lambda done: learning_rate * tf.maximum(1.0 - tf.cast(done, tf.float32) / steps, 0.0)
    raise ValueError(f"unknown learning rate schedule {name!r}: expected 'constant' or 'linear'")
