"""The progress of a run: what a checkpoint stores beside the variables."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfrs_pretrain.training.epoch_state import EpochState


@dataclasses.dataclass
class TrainingProgress:
    """Progress of a run; together with the task's variables it is all that a resumed run needs.

    Attributes:
      epochs: one record per finished epoch, after one for epoch 0 where the stage evaluates the initial model.
      epoch_state: position in the current epoch.
      curve: records of the mid-epoch evaluations.
      last_eval_state: ``epoch_state`` at the last mid-epoch evaluation of the current epoch.
      epoch_seconds: training time of the current epoch, summed over all processes that worked on it.
      seconds: time of the whole run, summed likewise.
    """

    epochs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    epoch_state: EpochState = dataclasses.field(default_factory=EpochState)
    curve: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    last_eval_state: EpochState = dataclasses.field(default_factory=EpochState)
    epoch_seconds: float = 0.0
    seconds: float = 0.0

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> TrainingProgress:
        """Rebuild the progress from the value that ``to_json`` returned."""
        states = {name: EpochState(**tree[name]) for name in ("epoch_state", "last_eval_state")}
        return cls(**{**tree, **states})

    def to_json(self) -> dict[str, Any]:
        """The progress as a JSON value."""
        return dataclasses.asdict(self)

    @property
    def epoch(self) -> int:
        """Number of the current epoch; the first is 1."""
        return int(self.epochs[-1]["epoch"]) + 1 if self.epochs else 1

    def finish_epoch(self, record: dict[str, Any]) -> None:
        """Append the record of the current epoch and start the next one."""
        self.epochs.append(record)
        self.epoch_state, self.last_eval_state, self.epoch_seconds = EpochState(), EpochState(), 0.0
