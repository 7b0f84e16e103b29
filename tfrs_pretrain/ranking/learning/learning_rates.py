"""Learning rates of a ranker: a constant, or a schedule over the steps of the run."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrs_pretrain.config import RankingConfig
from tfrs_pretrain.training.schedules import Schedule, make_schedule

Rate = float | Schedule


def make_rate(config: RankingConfig, learning_rate: float, steps: int) -> Rate:
    """Build the configured schedule.

    Args:
      config: provides the schedule and the warm-up steps.
      learning_rate: its largest value.
      steps: of the whole run.

    Returns:
      ``learning_rate`` itself if it is constant without warm-up.
    """
    if config.schedule == "constant" and not config.warmup_steps:
        return learning_rate
    return make_schedule(config.schedule, learning_rate, steps, warmup_steps=config.warmup_steps)


def rate_at(rate: Rate, step: tf.Tensor) -> float | tf.Tensor:
    """Return the rate after int64 [] ``step`` finished steps."""
    return rate(step) if callable(rate) else rate


def keras_rate(rate: Rate) -> Any:
    """Convert a rate to what a Keras optimizer accepts."""
    return _KerasSchedule(rate) if callable(rate) else rate


class _KerasSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Adapter from a schedule to Keras. Only the variables of its optimizer are saved, never the optimizer."""

    def __init__(self, schedule: Schedule):
        self._schedule = schedule

    def __call__(self, step: Any) -> tf.Tensor:
        return self._schedule(tf.cast(step, tf.int64))

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError("rebuild the schedule from the run's configuration")
