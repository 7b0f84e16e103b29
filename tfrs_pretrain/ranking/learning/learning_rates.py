"""Learning rates of a ranker: a number, or a schedule over the steps of the run."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.training.schedules import Schedule, make_schedule

Rate = float | Schedule


def make_rate(config: RankingConfig, learning_rate: float, steps: int) -> Rate:
    """What the configuration makes of a learning rate.

    Args:
      config: schedule and warm-up.
      learning_rate: the largest.
      steps: of the whole run.
    """
    if config.schedule == "constant" and not config.warmup_steps:
        return learning_rate
    return make_schedule(config.schedule, learning_rate, steps, warmup_steps=config.warmup_steps)


def rate_at(rate: Rate, step: tf.Tensor) -> float | tf.Tensor:
    """The rate when ``step`` (int64 []) steps are done."""
    return rate(step) if callable(rate) else rate


def dense_rate(rate: Rate) -> Any:
    """The same for a Keras optimizer."""
    return _KerasSchedule(rate) if callable(rate) else rate


class _KerasSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule in Keras's terms; an optimizer with it is never saved, only its variables are."""

    def __init__(self, schedule: Schedule):
        self._schedule = schedule

    def __call__(self, step: Any) -> tf.Tensor:
        return self._schedule(tf.cast(step, tf.int64))

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError("a schedule of the configuration is made again from it")
