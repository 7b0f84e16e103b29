"""Held-out losses of one training run, evaluated many times in each epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import checked_reading
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.progress import Meter
from tfrs_pretrain.ranking.arm_memory_plan import ArmPlan
from tfrs_pretrain.ranking.build import build_parts, steps_per_epoch
from tfrs_pretrain.ranking.learning.heldout_sample import HeldOutSample
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.training.devices import local_devices
from tfrs_pretrain.training.epoch_state import EpochState
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.mid_epoch_evals import MidEpochEval, eval_steps
from tfrs_pretrain.training.strategy import build_strategy, set_seeds
from tfrs_pretrain.training.table_placement import make_placements, place_tables


@dataclasses.dataclass(frozen=True)
class EvalPoint(MidEpochEval):
    """One evaluation on the held-out impressions.

    Attributes:
      auc: None if the impressions have one label only.
      losses: float64 [n], the negative log-likelihood of each impression in nats.
    """

    auc: float | None
    losses: np.ndarray


@dataclasses.dataclass(frozen=True)
class LossCurve:
    """The evaluations of one run.

    Attributes:
      points: in order, the same number in each epoch.
      per_epoch: number of points in each epoch.
    """

    points: tuple[EvalPoint, ...]
    per_epoch: int

    @property
    def losses(self) -> np.ndarray:
        """float64 [points, n] in nats."""
        return np.stack([point.losses for point in self.points])


def record_loss_curve(config: Config, dataset: Dataset, arm: str, embeddings: Embeddings | None,
                      heldout: HeldOutSample, meter: Meter, *, per_epoch: int,
                      at_epoch_end: Callable[[int, Ranker], None] | None = None) -> LossCurve:
    """Train an arm and evaluate it at evenly spaced steps of each epoch, the last step included.

    Args:
      config: of the run; the arm's number of epochs applies.
      dataset: impressions and vocabularies.
      arm: name in ``config.ranking.arms``.
      embeddings: pretrained rows; None if the arm transfers no table.
      heldout: impressions to evaluate on.
      meter: advanced by the trained impressions.
      per_epoch: evaluations per epoch.
      at_epoch_end: called after each epoch with its number and the ranker.

    Raises:
      UserError: an epoch has fewer steps than evaluations, the batch does not fit the replicas, the data is damaged, or
        the loss is not finite.
    """
    batch_size = config.ranking.batch_size
    set_seeds(config.seed, deterministic=config.training.deterministic)
    strategy = build_strategy(config.training)
    steps = steps_per_epoch(config, dataset, strategy.num_replicas_in_sync)
    at_steps = eval_steps(steps, per_epoch, "lower --points or ranking.batch_size")
    plan = ArmPlan(config, dataset, arm)
    place_tables(plan, config.training, local_devices(config.training))
    with strategy.scope():
        parts = build_parts(config, dataset, config.ranking.arms[arm], embeddings, steps=steps,
                            placements=make_placements(plan, strategy))
    points: list[EvalPoint] = []
    last_eval = EpochState()

    def evaluate(state: EpochState) -> None:
        nonlocal last_eval
        if state.steps_done in at_steps:
            losses, auc = heldout.losses(parts.student.ranker)
            passed = MidEpochEval.at(state, last_eval, steps_done=(epoch - 1) * steps + state.steps_done,
                                     steps_per_pass=steps, batch_size=batch_size)
            points.append(EvalPoint(**dataclasses.asdict(passed), auc=auc, losses=losses))
            last_eval = state

    with checked_reading(dataset, "impressions/train"):
        for epoch in range(1, parts.rounds.count + 1):
            last_eval = EpochState()
            for learner in parts.learners:
                learner.begin_epoch(epoch)
            batches = parts.batches(dataset, epoch, 0, batch_size=batch_size, seed=config.seed)
            run_epoch(strategy, parts.step, batches, steps=steps, meter=meter, title=f"{arm}, epoch {epoch} · ",
                      pause_steps=at_steps, on_pause=evaluate)
            if at_epoch_end:
                at_epoch_end(epoch, parts.student.ranker)
    return LossCurve(tuple(points), per_epoch)
