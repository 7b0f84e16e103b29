"""Held-out losses many times in each epoch of one training run, across the borders of its epochs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import reading
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.progress import Meter
from tfrs_pretrain.ranking.build import build_parts, steps_per_epoch
from tfrs_pretrain.ranking.learning.probe import Probe
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.training.epoch_state import EpochState
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.mid_epoch_evals import MidEpochEval, eval_steps
from tfrs_pretrain.training.strategy import build_strategy, set_seeds


@dataclasses.dataclass(frozen=True)
class Point(MidEpochEval):
    """One look at the held-out impressions; losses are in nats.

    Attributes:
      auc: of the held-out impressions; None if they have one label only.
      losses: float64 [n] of the held-out impressions, in nats.
    """

    auc: float | None
    losses: np.ndarray


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """One run.

    Attributes:
      points: in order, the same number in each epoch.
      per_epoch: that number.
    """

    points: tuple[Point, ...]
    per_epoch: int

    @property
    def losses(self) -> np.ndarray:
        """float64 [points, n]."""
        return np.stack([point.losses for point in self.points])


def follow(config: Config, dataset: Dataset, arm: str, embeddings: Embeddings | None, probe: Probe, meter: Meter, *,
           per_epoch: int, at_border: Callable[[int, Ranker], None] | None = None) -> Trajectory:
    """Trains an arm and looks at the probe at evenly spaced steps of each epoch, the last step among them.

    Args:
      config: of the run; the arm's epochs count.
      dataset: impressions and vocabularies.
      arm: name in ``config.ranking.arms``.
      embeddings: pretrained rows; None if the arm transfers no table.
      probe: held-out impressions.
      meter: advanced by the impressions trained on.
      per_epoch: points in an epoch.
      at_border: called after each epoch with its number and the ranker.

    Raises:
      UserError: an epoch has fewer steps than points, the batch does not fit the replicas, the data is damaged, or
        the loss is not finite.
    """
    batch_size, settings = config.ranking.batch_size, config.ranking.arms[arm]
    set_seeds(config.seed, deterministic=config.training.deterministic)
    strategy = build_strategy(config.training)
    steps = steps_per_epoch(config, dataset, strategy.num_replicas_in_sync)
    probe_steps = eval_steps(steps, per_epoch, "lower --points or ranking.batch_size")
    with strategy.scope():
        parts = build_parts(config, dataset, settings, embeddings, steps=steps)
    points: list[Point] = []
    last = EpochState()

    def look(state: EpochState) -> None:
        nonlocal last
        if state.steps_done in probe_steps:
            losses, auc = probe.losses(parts.student.ranker)
            passed = MidEpochEval.at(state, last, steps_done=(epoch - 1) * steps + state.steps_done,
                                     steps_per_pass=steps, batch_size=batch_size)
            points.append(Point(**dataclasses.asdict(passed), auc=auc, losses=losses))
            last = state

    with reading(dataset, "impressions/train"):
        for epoch in range(1, parts.rounds.count + 1):
            last = EpochState()
            for learner in parts.learners:
                learner.begin_epoch(epoch)
            batches = parts.batches(dataset, epoch, 0, batch_size=batch_size, seed=config.seed)
            run_epoch(strategy, parts.step, batches, steps=steps, meter=meter, title=f"{arm}, epoch {epoch} · ",
                      pause_steps=probe_steps, on_pause=look)
            if at_border:
                at_border(epoch, parts.student.ranker)
    return Trajectory(tuple(points), per_epoch)
