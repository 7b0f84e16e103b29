"""Stage II as a training task: impressions, the step of one arm, and the evaluation on validation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.batch_ids import format_id_pairs
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset
from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.ranking.build import Parts
from tfrs_pretrain.ranking.extreme_values import describe_extreme_value
from tfrs_pretrain.ranking.learning.best_checkpoint import BestCheckpoint
from tfrs_pretrain.ranking.learning.heldout_sample import HeldOutSample
from tfrs_pretrain.ranking.learning.learner import Learner
from tfrs_pretrain.ranking.predict import predict
from tfrs_pretrain.ranking.split_metrics import split_metrics
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW
from tfrs_pretrain.training.epoch_state import EpochState
from tfrs_pretrain.training.mid_epoch_evals import MidEpochEval, eval_steps
from tfrs_pretrain.training.training_task import EvalResult, TrainingTask

VALIDATION = IMPRESSION_SPLITS[1]
HELDOUT_IMPRESSIONS = 1 << 15  # a mid-epoch evaluation then takes a fraction of a second


class ArmTrainingTask(TrainingTask):
    """Training of one arm.

    Args:
      config: of the run.
      dataset: impressions for training and evaluation.
      arm: its name.
      parts: the student, its teacher and their step.
      best_checkpoint: early stopping; None trains all epochs and uses the last.

    Attributes:
      validation: predictions of the last epoch that this process evaluated; None before.
    """

    unit = "impressions"

    def __init__(self, config: Config, dataset: Dataset, arm: str, parts: Parts,
                 best_checkpoint: BestCheckpoint | None):
        self.name, self.title = f"ranking/{arm}", f"Stage II: {arm}"
        self.epochs, self.steps = parts.rounds.count, parts.rounds.steps
        self.batch_size = config.ranking.batch_size
        self.validation: pa.Table | None = None
        self._seed, self._dataset, self._parts, self._best_checkpoint = config.seed, dataset, parts, best_checkpoint
        evals = config.ranking.evals_per_epoch
        self._heldout_sample = HeldOutSample(dataset, VALIDATION, HELDOUT_IMPRESSIONS) if evals else None
        self.eval_steps = eval_steps(self.steps, -(-evals // parts.rounds.per_pass), "lower ranking.evals_per_epoch")

    @property
    def variables(self) -> Sequence[tf.Variable | PlacedVariable]:
        best = self._best_checkpoint.state if self._best_checkpoint else ()
        return [*(variable for learner in self._parts.learners for variable in learner.placed_variables), *best]

    def begin_epoch(self, epoch: int) -> None:
        for learner in self._parts.learners:
            learner.begin_epoch(epoch)

    def batches(self, epoch: int, start: int) -> tf.data.Dataset:
        return self._parts.batches(self._dataset, epoch, start, batch_size=self.batch_size, seed=self._seed)

    def step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._parts.step(batch)

    def evaluate(self, epoch: int, means: Mapping[str, float]) -> EvalResult:
        self.validation = predict(self._parts.student.ranker, self._dataset, VALIDATION)
        metrics = split_metrics(self.validation, self._dataset).metrics
        if self._best_checkpoint:
            self._best_checkpoint.update(epoch, metrics)
        record = {"train": dict(means), "examples": self.steps * self.batch_size, "validation": metrics}
        return EvalResult(record, {f"validation/{name}": value for name, value in metrics.items()
                                  if isinstance(value, float)})

    def evaluate_mid_epoch(self, steps_done: int, state: EpochState, last_eval: EpochState) -> dict[str, Any]:
        assert self._heldout_sample is not None  # no evaluations without it
        log_loss, auc = self._heldout_sample.weighted_metrics(self._parts.student.ranker)
        passed = MidEpochEval.at(state, last_eval, steps_done=steps_done, batch_size=self.batch_size,
                                 steps_per_pass=self.steps * self._parts.rounds.per_pass)
        return {**dataclasses.asdict(passed), "log_loss": log_loss, "auc": auc}

    def is_done(self, records: Sequence[Mapping[str, Any]]) -> bool:
        return (bool(records) and self._best_checkpoint is not None
                and self._best_checkpoint.is_exhausted(records[-1]["epoch"]))

    def best(self) -> Learner:
        """Return the trained student, restored to the best epoch under early stopping."""
        if self._best_checkpoint:
            self._best_checkpoint.restore()
            self.validation = None  # may be of another epoch
        return self._parts.student

    def progress_text(self, record: Mapping[str, Any]) -> str:
        return f"validation log loss {record['validation']['log_loss']:.4f}"

    def describe_batch(self, batch: Mapping[str, Any]) -> str:
        pairs = format_id_pairs(self._dataset, batch[USER_ROW], batch[ITEM_ROW])
        extreme = describe_extreme_value(self._parts.student.ranker, batch)
        return (f"{extreme}; " if extreme else "") + f"first (user, item) pairs of the batch: {pairs}"
