"""The time budget of a race over all calls of its command."""

from __future__ import annotations

import time

from tfrs_pretrain.experiments.piece_costs import PieceCosts
from tfrs_pretrain.experiments.scheduler import TimeLimit


class Budget:
    """A time budget; time that earlier calls used counts.

    Args:
      minutes: of wall-clock time.
      costs: of the output folder.
    """

    def __init__(self, minutes: float, costs: PieceCosts):
        self._seconds, self._costs = 60 * minutes, costs
        self._begin = time.monotonic() - costs.wall_seconds

    def limit(self, share: float) -> TimeLimit:
        """Return the limit of work that has to finish within a share of the budget."""
        return TimeLimit(self._begin + share * self._seconds, self._begin + self._seconds)

    def used(self) -> float:
        """Return the seconds used so far, and record them for later calls."""
        self._costs.record_wall_time()
        return self._costs.wall_seconds
