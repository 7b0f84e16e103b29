"""Stage I as a task of the trainer: pairs, the contrastive step, and the evaluation on held-out pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.batch_ids import format_id_pairs
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.pairs import shuffled_batches, training_columns
from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.pretraining.evaluate import Evaluator
from tfrs_pretrain.pretraining.two_tower import TwoTower
from tfrs_pretrain.training.training_task import EvalResult, TrainingTask


class TwoTowerTrainingTask(TrainingTask):
    """The training of one two-tower model.

    Args:
      config: configuration of the run.
      dataset: pairs for training and evaluation.
      model: changed in place.
      epochs: number of passes over the pairs.
      steps: steps per epoch.
    """

    name, title, unit = "pretraining", "Stage I: contrastive pretraining", "pairs"

    def __init__(self, config: Config, dataset: Dataset, model: TwoTower, epochs: int, steps: int):
        self.epochs, self.steps, self.batch_size = epochs, steps, config.pretraining.batch_size
        self._seed, self._dataset, self._model = config.seed, dataset, model
        self._evaluator = Evaluator(dataset, config.pretraining)

    @property
    def variables(self) -> Sequence[PlacedVariable]:
        return self._model.placed_variables

    def batches(self, epoch: int, start: int) -> tf.data.Dataset:
        return shuffled_batches(self._dataset.files("pairs/train"), self.batch_size, seed=self._seed, epoch=epoch,
                                start=start, columns=training_columns(self._dataset.schema))

    def step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._model.train_step(batch)

    def evaluate_start(self) -> EvalResult:
        return self._evaluate(None)

    def evaluate(self, epoch: int, means: Mapping[str, float]) -> EvalResult:
        return self._evaluate(means["loss"])

    def progress_text(self, record: Mapping[str, Any]) -> str:
        return f"held-out {record['heldout_loss']:.4f}"

    def describe_batch(self, batch: dict[str, Any]) -> str:
        pairs = format_id_pairs(self._dataset, batch["query"], batch["candidate"])
        return f"first (user, item) pairs of the batch: {pairs}"

    def step_scalars(self, steps_done: int) -> dict[str, float]:
        last_step = tf.constant(steps_done - 1, tf.int64)
        return {"learning_rate": float(self._model.learning_rate(last_step))}

    def _evaluate(self, train_loss: float | None) -> EvalResult:
        metrics = self._evaluator(self._model)
        return EvalResult({"train_loss": train_loss, **metrics},
                         {f"heldout/{name}": value for name, value in metrics.items() if isinstance(value, float)})
