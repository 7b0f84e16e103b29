"""What a stage brings to the loop that both share."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfrs_pretrain.training.loop import EpochState


@dataclasses.dataclass(frozen=True)
class EvalResult:
    """What was found after an epoch.

    Attributes:
      record: JSON values, kept in the manifest's ``epochs``.
      curves: name -> value, for TensorBoard; None adds no point.
    """

    record: dict[str, Any]
    curves: Mapping[str, float | None]


class TrainingTask(abc.ABC):
    """Batches and a step that learns from them; ``Epochs`` trains it, checkpoints it and continues it.

    Epochs count from 1. Whatever ``step``, ``begin_epoch`` and ``judge`` change must be in ``variables``, and what they
    do may depend on nothing else that changes: a run that is continued must repeat them.

    Attributes:
      name: of its curves, a relative path.
      title: of its progress bar.
      unit: plural of what a batch holds.
      epochs: at most so many.
      steps: in an epoch.
      batch_size: examples in a global batch.
      looks: steps of each epoch after which ``look`` is called.
    """

    name: str
    title: str
    unit: str
    epochs: int
    steps: int
    batch_size: int
    looks: tuple[int, ...] = ()

    @property
    @abc.abstractmethod
    def variables(self) -> Sequence[tf.Variable]:
        """All that training changes, in an order that the same code repeats."""

    @abc.abstractmethod
    def batches(self, epoch: int, start: int) -> tf.data.Dataset:
        """Global batches of an epoch without the first ``start``, the same in every call."""

    @abc.abstractmethod
    def step(self, batch: Any) -> dict[str, tf.Tensor]:
        """Learns from a replica's part of a batch; scalars, among them "loss"."""

    @abc.abstractmethod
    def judge(self, epoch: int, means: Mapping[str, float]) -> EvalResult:
        """Findings after an epoch, of whose steps ``means`` are the mean scalars."""

    @abc.abstractmethod
    def note(self, record: Mapping[str, Any]) -> str:
        """The finding that people watch, in a few words."""

    @abc.abstractmethod
    def describe(self, batch: Any) -> str:
        """The first ids of a batch (numpy values), for an error."""

    def judge_start(self) -> EvalResult | None:
        """Findings before the first epoch; None where nothing is judged then."""
        return None

    def begin_epoch(self, epoch: int) -> None:
        """Called before the first step of an epoch."""
        del epoch

    def look(self, done: int, state: EpochState, last: EpochState) -> dict[str, Any]:
        """Findings within an epoch, as JSON values.

        Args:
          done: steps of the whole run.
          state: of the epoch.
          last: the same at the look before; that of no steps at the first look of an epoch.
        """
        del done, state, last
        return {}

    def is_done(self, records: Sequence[Mapping[str, Any]]) -> bool:
        """Whether to stop before all ``epochs``, judged by the records so far."""
        del records
        return False

    def curves(self, done: int) -> Mapping[str, float]:
        """Further points for TensorBoard when ``done`` steps of the run are done, such as the learning rate."""
        del done
        return {}
