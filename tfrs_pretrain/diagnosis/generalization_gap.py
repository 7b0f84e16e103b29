"""Generalization gap, held-out minus training log loss, by the training frequency of an id: which ids are memorised."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfrs_pretrain.evaluation.slices import Slicing, by_frequency
from tfrs_pretrain.ranking.learning.heldout_sample import HeldOutSample
from tfrs_pretrain.ranking.model.ranker import Ranker


@dataclasses.dataclass(frozen=True)
class GapRow:
    """The gap of one epoch, ID space and frequency bucket.

    Attributes:
      epoch: from 1.
      ids: ID space.
      training_impressions: name of the bucket, such as "1-4" training impressions of the id.
      heldout_impressions: number of held-out impressions in the bucket.
      trained_impressions: number of sampled training impressions in the bucket.
      heldout_log_loss: their mean loss in nats; None without impressions.
      trained_log_loss: likewise.
      gap: held-out minus training loss; None if a side has no impressions.
    """

    epoch: int
    ids: str
    training_impressions: str
    heldout_impressions: int
    trained_impressions: int
    heldout_log_loss: float | None
    trained_log_loss: float | None
    gap: float | None


class GapByFrequency:
    """Losses of held-out and training impressions, recorded at the end of each epoch.

    Args:
      heldout: impressions that are not trained on.
      trained: a sample of the training impressions.
      counts: ID space -> int64 [table rows], training impressions of each row.
    """

    def __init__(self, heldout: HeldOutSample, trained: HeldOutSample, counts: Mapping[str, np.ndarray]):
        self._samples = {"heldout": heldout, "trained": trained}
        self._counts = {side: sample.counts(counts) for side, sample in self._samples.items()}
        self._losses: dict[int, list[dict[str, np.ndarray]]] = {}

    def record(self, epoch: int, ranker: Ranker) -> None:
        """Record the losses after an epoch, from 1; several records of one epoch (seeds) are averaged."""
        losses = {side: sample.losses(ranker)[0] for side, sample in self._samples.items()}
        self._losses.setdefault(epoch, []).append(losses)

    def rows(self) -> list[GapRow]:
        """Return the gap for each epoch, ID space and frequency bucket."""
        rows = []
        for epoch, recorded in self._losses.items():
            losses = {side: np.mean([each[side] for each in recorded], axis=0) for side in self._samples}
            for space in self._counts["heldout"]:
                slicings = {side: by_frequency(self._counts[side][space]) for side in self._samples}
                rows += [_row(epoch, space, name, losses, slicings, part)
                         for part, name in enumerate(slicings["heldout"].parts)]
        return rows


def _row(epoch: int, space: str, name: str, losses: Mapping[str, np.ndarray], slicings: Mapping[str, Slicing],
         part: int) -> GapRow:
    inside = {side: losses[side][slicing.positions(part)] for side, slicing in slicings.items()}
    heldout, trained = _mean(inside["heldout"]), _mean(inside["trained"])
    gap = None if heldout is None or trained is None else heldout - trained
    return GapRow(epoch, space, name, len(inside["heldout"]), len(inside["trained"]), heldout, trained, gap)


def _mean(losses: np.ndarray) -> float | None:
    return float(losses.mean()) if len(losses) else None
