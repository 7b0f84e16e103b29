"""The gap between held-out and training log loss by how often an id was trained on: who is memorised?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrs_pretrain.evaluation.slices import by_frequency
from tfrs_pretrain.ranking.learning.probe import Probe
from tfrs_pretrain.ranking.model.ranker import Ranker


class GapByFrequency:
    """Looks at both sides at each epoch's end.

    Args:
      heldout: impressions that are not trained on.
      trained: a sample of those that are.
      counts: ID space -> int64 [rows], training impressions of each row.
    """

    def __init__(self, heldout: Probe, trained: Probe, counts: Mapping[str, np.ndarray]):
        self._sides = {"heldout": heldout, "trained": trained}
        self._counts = {side: probe.counts(counts) for side, probe in self._sides.items()}
        self._losses: dict[int, list[dict[str, np.ndarray]]] = {}

    def look(self, epoch: int, ranker: Ranker) -> None:
        """Keeps the losses after an epoch, counted from 1; several looks at one epoch (seeds) are averaged."""
        losses = {side: probe.losses(ranker)[0] for side, probe in self._sides.items()}
        self._losses.setdefault(epoch, []).append(losses)

    def table(self) -> list[dict[str, Any]]:
        """For each epoch, ID space and frequency: impressions and mean log loss of both sides, and the gap.

        Frequencies that one side lacks have no gap (None).
        """
        rows = []
        for epoch, looks in self._losses.items():
            losses = {side: np.mean([look[side] for look in looks], axis=0) for side in self._sides}
            for space in self._counts["heldout"]:
                cuts = {side: by_frequency(self._counts[side][space]) for side in self._sides}
                for part, name in enumerate(cuts["heldout"].parts):
                    means = {side: _mean(losses[side][cuts[side].positions(part)]) for side in self._sides}
                    held, own = means["heldout"], means["trained"]
                    rows.append({"epoch": epoch, "ids": space, "training_impressions": name,
                                 **{f"{side}_impressions": len(cuts[side].positions(part)) for side in self._sides},
                                 **{f"{side}_log_loss": mean for side, mean in means.items()},
                                 "gap": None if held is None or own is None else held - own})
        return rows


def _mean(losses: np.ndarray) -> float | None:
    return float(losses.mean()) if len(losses) else None
