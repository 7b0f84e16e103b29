"""When to write a checkpoint within an epoch."""

from __future__ import annotations

import time

from tfrs_pretrain.config import TrainingConfig


class CheckpointSchedule:
    """A checkpoint is due every n steps of an epoch, or n seconds after the last one.

    The last step of an epoch is left out: the trainer writes a checkpoint after the evaluation that follows it.

    Args:
      config: ``checkpoint_every_steps`` and ``checkpoint_every_seconds``; None turns either off.
      steps: steps per epoch.
    """

    def __init__(self, config: TrainingConfig, steps: int):
        self._every_steps, self._every_seconds = config.checkpoint_every_steps, config.checkpoint_every_seconds
        self._steps = steps
        self.restart_clock()

    @property
    def pause_steps(self) -> set[int]:
        """Steps of an epoch at which the loop must pause for a checkpoint."""
        return set(range(self._every_steps, self._steps, self._every_steps)) if self._every_steps else set()

    def is_due(self, steps_done: int) -> bool:
        """Whether to write a checkpoint after ``steps_done`` steps of an epoch."""
        if steps_done >= self._steps:
            return False
        return steps_done in self.pause_steps or self._is_due_by_time()

    def restart_clock(self) -> None:
        """Count the seconds from now; call it after each checkpoint."""
        self._saved_at = time.perf_counter()

    def _is_due_by_time(self) -> bool:
        return self._every_seconds is not None and time.perf_counter() - self._saved_at >= self._every_seconds
