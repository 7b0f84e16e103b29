"""The position inside an epoch, with the sums of its scalars."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class EpochState:
    """Position inside an epoch.

    Attributes:
      steps_done: steps of the epoch that have run.
      totals: scalar name -> sum over these steps.
    """

    steps_done: int = 0
    totals: dict[str, float] = dataclasses.field(default_factory=dict)

    def means_since(self, earlier: EpochState) -> dict[str, float]:
        """Mean of each scalar over the steps between an earlier state of the same epoch and this one."""
        steps = self.steps_done - earlier.steps_done
        return {name: (total - earlier.totals.get(name, 0.0)) / steps for name, total in self.totals.items()}
