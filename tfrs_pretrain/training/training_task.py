"""The interface between a stage and the trainer."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.training.epoch_state import EpochState


@dataclasses.dataclass(frozen=True)
class EvalResult:
    """Result of an evaluation between epochs.

    Attributes:
      record: JSON values, stored in the manifest's ``epochs``.
      scalars: name -> value for TensorBoard; None writes no point.
    """

    record: dict[str, Any]
    scalars: Mapping[str, float | None]


class TrainingTask(abc.ABC):
    """Batches, a training step and an evaluation; ``Trainer`` runs, checkpoints and resumes them.

    Epochs count from 1. ``variables`` must contain everything that ``step``, ``begin_epoch`` and ``evaluate`` change,
    and these methods must depend on no other mutable state: a resumed run repeats them.

    Attributes:
      name: relative path of the task's TensorBoard folder.
      title: title of the progress bar.
      unit: plural of the training example, such as "pairs".
      epochs: maximum number of epochs.
      steps: steps per epoch.
      batch_size: examples in a global batch.
      eval_steps: steps of each epoch after which ``evaluate_mid_epoch`` is called.
    """

    name: str
    title: str
    unit: str
    epochs: int
    steps: int
    batch_size: int
    eval_steps: tuple[int, ...] = ()

    @property
    @abc.abstractmethod
    def variables(self) -> Sequence[tf.Variable | PlacedVariable]:
        """All variables that training changes, always in the same order."""

    @abc.abstractmethod
    def batches(self, epoch: int, start: int) -> tf.data.Dataset:
        """Global batches of an epoch without the first ``start``; every call returns the same batches."""

    @abc.abstractmethod
    def step(self, batch: Any) -> dict[str, tf.Tensor]:
        """Train on a replica's part of a batch and return scalars, among them "loss"."""

    @abc.abstractmethod
    def evaluate(self, epoch: int, means: Mapping[str, float]) -> EvalResult:
        """Evaluate the model after an epoch; ``means`` are the mean scalars of its steps."""

    @abc.abstractmethod
    def progress_text(self, record: Mapping[str, Any]) -> str:
        """The main metric of an epoch's record, as short text for the progress bar."""

    @abc.abstractmethod
    def describe_batch(self, batch: Any) -> str:
        """The first ids of a batch of numpy values, for error messages."""

    def evaluate_start(self) -> EvalResult | None:
        """Evaluate the initial model; None where the stage does not."""
        return None

    def begin_epoch(self, epoch: int) -> None:
        """Prepare an epoch; called before its first step, and not again when a run resumes within the epoch."""
        del epoch

    def evaluate_mid_epoch(self, steps_done: int, state: EpochState, last_eval: EpochState) -> dict[str, Any]:
        """Evaluate the model within an epoch and return JSON values.

        Args:
          steps_done: steps of the whole run so far.
          state: position in the epoch.
          last_eval: position at the previous evaluation in this epoch; the start of the epoch before the first.
        """
        del steps_done, state, last_eval
        return {}

    def is_done(self, records: Sequence[Mapping[str, Any]]) -> bool:
        """Whether to stop before the maximum number of epochs, given the epochs' records so far."""
        del records
        return False

    def step_scalars(self, steps_done: int) -> Mapping[str, float]:
        """Further scalars for TensorBoard after ``steps_done`` steps of the run, such as the learning rate."""
        del steps_done
        return {}
