"""Looks at a model while an epoch is under way: after which steps, and what was trained on since the last one."""

from __future__ import annotations

import dataclasses

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.loop import EpochState


def eval_steps(steps: int, looks: int, hint: str) -> tuple[int, ...]:
    """Evenly spaced steps of an epoch, counted from 1, the last step among them; none for 0 looks.

    Args:
      steps: in the epoch.
      looks: how many.
      hint: what to do where the epoch is too short, for the message.

    Raises:
      UserError: the epoch has fewer steps than looks.
    """
    if looks > steps:
        raise UserError(f"an epoch has {steps} steps, too few for {looks} looks: {hint}")
    every = steps // max(looks, 1)
    return (*(every * number for number in range(1, looks)), steps) if looks else ()


@dataclasses.dataclass(frozen=True)
class MidEpochEval:
    """A moment of a run.

    Attributes:
      epoch: passes over the training data so far; a whole number is a border.
      examples: trained on so far.
      train_loss: mean since the look before, or since the epoch began.
    """

    epoch: float
    examples: int
    train_loss: float

    @classmethod
    def at(cls, state: EpochState, last: EpochState, *, done: int, steps: int, batch_size: int) -> MidEpochEval:
        """The moment at which an epoch stands.

        Args:
          state: of the epoch.
          last: the same at the look before; that of no steps at the first look of an epoch.
          done: steps of the whole run.
          steps: in one pass over the training data.
          batch_size: examples in a step.
        """
        loss = (state.totals["loss"] - last.totals.get("loss", 0.0)) / (state.done - last.done)
        return cls(done / steps, done * batch_size, loss)
