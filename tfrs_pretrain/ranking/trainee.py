"""What Stage II brings to the loop: impressions, the step of one arm, and the judge of validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset
from tfrs_pretrain.data.impressions import training_batches
from tfrs_pretrain.data.naming import first_ids
from tfrs_pretrain.ranking.distillation import Step
from tfrs_pretrain.ranking.learner import Learner
from tfrs_pretrain.ranking.predict import judge, predict
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW
from tfrs_pretrain.training.trainee import Judgement, Trainee

VALIDATION = IMPRESSION_SPLITS[1]


class ArmTrainee(Trainee):
    """One arm: a student and what it learns from.

    Args:
      config: of the run.
      dataset: impressions to train on and to judge with.
      arm: its name.
      step: updates all learners.
      student: the model that is judged and served.
      teachers: further learners that the step updates.
      steps: in an epoch.

    Attributes:
      student: as given.
      validation: predictions of the last epoch that this process judged, None before.
    """

    unit = "impressions"

    def __init__(self, config: Config, dataset: Dataset, arm: str, step: Step, student: Learner,
                 teachers: Sequence[Learner], steps: int):
        self.name, self.title = f"ranking/{arm}", f"Stage II: {arm}"
        self.epochs, self.steps, self.batch_size = config.ranking.epochs, steps, config.ranking.batch_size
        self.student = student
        self.validation: pa.Table | None = None
        self._seed, self._dataset, self._step, self._teachers = config.seed, dataset, step, tuple(teachers)

    @property
    def variables(self) -> Sequence[tf.Variable]:
        return [variable for learner in (self.student, *self._teachers) for variable in learner.variables]

    def batches(self, epoch: int, start: int) -> tf.data.Dataset:
        return training_batches(self._dataset, batch_size=self.batch_size, seed=self._seed, epoch=epoch - 1,
                                start=start)

    def step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._step(batch)

    def judge(self, epoch: int, means: Mapping[str, float]) -> Judgement:
        self.validation = predict(self.student.ranker, self._dataset, VALIDATION)
        metrics = judge(self.validation, self._dataset)["metrics"]
        record = {"train": dict(means), "examples": self.steps * self.batch_size, "validation": metrics}
        return Judgement(record, {f"validation/{name}": value for name, value in metrics.items()
                                  if isinstance(value, float)})

    def note(self, record: Mapping[str, Any]) -> str:
        return f"validation log loss {record['validation']['log_loss']:.4f}"

    def describe(self, batch: Mapping[str, Any]) -> str:
        return f"first (user, item) pairs of the batch: {first_ids(self._dataset, batch[USER_ROW], batch[ITEM_ROW])}"
