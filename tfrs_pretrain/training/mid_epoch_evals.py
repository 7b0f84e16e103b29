"""Evaluations within an epoch: after which steps, and what was trained between them."""

from __future__ import annotations

import dataclasses

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.epoch_state import EpochState


def eval_steps(steps: int, evals: int, hint: str) -> tuple[int, ...]:
    """Evenly spaced steps of an epoch, the first numbered 1, ending with the last step; empty for 0 evaluations.

    Args:
      steps: steps per epoch.
      evals: evaluations per epoch.
      hint: advice for the error message.

    Raises:
      UserError: the epoch has fewer steps than evaluations.
    """
    if evals > steps:
        raise UserError(f"an epoch has {steps} steps, too few for {evals} evaluations: {hint}")
    every = steps // max(evals, 1)
    return (*(every * number for number in range(1, evals)), steps) if evals else ()


@dataclasses.dataclass(frozen=True)
class MidEpochEval:
    """When an evaluation within an epoch took place, and the training loss up to it.

    Attributes:
      epoch: passes over the training data so far; a whole number at the end of an epoch.
      examples: training examples so far.
      train_loss: mean since the previous evaluation in this epoch, or since the epoch began.
    """

    epoch: float
    examples: int
    train_loss: float

    @classmethod
    def at(cls, state: EpochState, last_eval: EpochState, *, steps_done: int, steps_per_pass: int,
           batch_size: int) -> MidEpochEval:
        """The evaluation at this state.

        Args:
          state: position in the epoch.
          last_eval: position at the previous evaluation in this epoch; the start of the epoch before the first.
          steps_done: steps of the whole run so far.
          steps_per_pass: steps in one pass over the training data.
          batch_size: examples in a step.
        """
        loss = state.means_since(last_eval)["loss"]
        return cls(steps_done / steps_per_pass, steps_done * batch_size, loss)
