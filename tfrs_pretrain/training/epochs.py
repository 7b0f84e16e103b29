"""The epochs of a stage: train, judge, checkpoint, and continue where an earlier process stopped."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.text import Text

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import Meter, console, progress
from tfrs_pretrain.training.checkpoint import Checkpoints
from tfrs_pretrain.training.loop import EpochState, NonFiniteLossError, run_epoch
from tfrs_pretrain.training.strategy import is_chief, noticing_lost_workers, total_over_workers
from tfrs_pretrain.training.tensorboard import Scalars
from tfrs_pretrain.training.termination import EXIT_CODE, Termination, noticing_sigterm
from tfrs_pretrain.training.training_task import EvalResult, TrainingTask


@dataclasses.dataclass
class TrainingProgress:
    """Where a run stands; with the task's variables, all that it continues from.

    Attributes:
      epochs: findings after each finished epoch, and before the first one where the stage judges that.
      state: of the epoch under way.
      curve: findings of the looks within epochs.
      looked: state of the epoch under way at its last look.
      epoch_seconds: training time of the epoch under way, over all processes that worked on it.
      seconds: time of the whole run, likewise.
    """

    epochs: list[dict[str, Any]]
    state: EpochState
    curve: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    looked: EpochState = dataclasses.field(default_factory=EpochState)
    epoch_seconds: float = 0.0
    seconds: float = 0.0

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> TrainingProgress:
        return cls(**{**tree, "state": EpochState(**tree["state"]), "looked": EpochState(**tree.get("looked", {}))})

    @property
    def epoch(self) -> int:
        """Number of the epoch under way, 1 at the first."""
        return int(self.epochs[-1]["epoch"]) + 1 if self.epochs else 1


class Epochs:
    """Trains for the epochs that a stage asks for.

    Args:
      config: checkpoints and TensorBoard.
      strategy: from ``build_strategy``.
      task: changed in place.
      checkpoints: written while training, and continued from where there are some.
    """

    def __init__(self, config: TrainingConfig, strategy: tf.distribute.Strategy, task: TrainingTask,
                 checkpoints: Checkpoints):
        self._config, self._strategy, self._task, self._checkpoints = config, strategy, task, checkpoints
        self._standing = TrainingProgress([], EpochState())
        self._seconds_before, self._started = 0.0, time.perf_counter()
        self._saved = self._started
        folder = config.tensorboard
        self._scalars = Scalars(Path(folder) / task.name if folder and is_chief(strategy) else None)

    def run(self) -> TrainingProgress:
        """Trains what is left to train.

        Raises:
          UserError: the checkpoints are another run's, a shard is damaged, a scalar is not finite, or another worker
            ended.
          SystemExit: SIGTERM came (code 143); a checkpoint was written.
        """
        with noticing_lost_workers(self._strategy):
            return self._run()

    def _run(self) -> TrainingProgress:
        task = self._task
        if not self._resume() and (judgement := task.judge_start()):
            self._record(0, judgement)
        total = (task.epochs * task.steps - self._done) * task.batch_size
        with progress(task.title, total, task.unit) as meter:
            while self._standing.epoch <= task.epochs and not task.is_done(self._standing.epochs):
                self._epoch(meter)
        self._standing.seconds = self._seconds()
        return self._standing

    @property
    def _done(self) -> int:
        """Steps of the whole run."""
        return (self._standing.epoch - 1) * self._task.steps + self._standing.state.done

    def _resume(self) -> bool:
        restored = self._checkpoints.restore(self._task.variables)
        self._check_workers_agree(restored.step if restored else 0)
        if restored is None:
            return False
        for damaged in restored.damaged:
            console.print(Text(f"! checkpoint {damaged} is damaged: the one before is used", style="yellow"),
                          soft_wrap=True)
        self._standing = TrainingProgress.from_json(restored.progress)
        self._seconds_before = self._standing.seconds
        where = f"epoch {self._standing.epoch}, step {self._standing.state.done} of {self._task.steps}"
        console.print(Text(f"continues from checkpoint {restored.path} ({where})", style="dim"), soft_wrap=True)
        return True

    def _check_workers_agree(self, step: int) -> None:
        """The replicas' tables are copies of each other only if all workers read the same checkpoint."""
        workers = total_over_workers(self._strategy, 1)
        mean = total_over_workers(self._strategy, step) / workers
        if total_over_workers(self._strategy, abs(step - mean)):
            raise UserError(f"this worker found a checkpoint of step {step}, another worker another one: write the "
                            "output to a folder that all workers share")

    def _epoch(self, meter: Meter) -> None:
        task, epoch = self._task, self._standing.epoch
        number, last = f"epoch {epoch}/{task.epochs} · ", self._standing.epochs[-1:]
        with noticing_sigterm() as termination:
            if self._standing.state.done == 0:
                task.begin_epoch(epoch)
            means = self._train(meter, number + "".join(f"{task.note(record)} · " for record in last), termination)
            start = time.perf_counter()
            judgement = task.judge(epoch, means)
            seconds = self._standing.epoch_seconds
            self._record(epoch, judgement, seconds=seconds, evaluation_seconds=time.perf_counter() - start,
                         **{f"{task.unit}_per_second": task.steps * task.batch_size / seconds})
            meter.note(f"{number}loss {means['loss']:.4f} · {task.note(judgement.record)}")
            self._standing.state, self._standing.looked, self._standing.epoch_seconds = EpochState(), EpochState(), 0.0
            self._save()
            if self._should_stop(termination):
                self._stop()

    def _train(self, meter: Meter, note: str, termination: Termination) -> dict[str, float]:
        """What is left of the epoch; mean scalars of all of it."""
        task, standing = self._task, self._standing
        before, start = standing.epoch_seconds, time.perf_counter()

        def pause(state: EpochState) -> None:
            elapsed = before + time.perf_counter() - start
            self._log_training(state, elapsed - standing.epoch_seconds)
            standing.state, standing.epoch_seconds = state, elapsed
            self._look()
            self._pause(self._should_stop(termination))

        try:
            return run_epoch(self._strategy, task.step, task.batches(standing.epoch, standing.state.done),
                             steps=task.steps, meter=meter, note=note, start=standing.state,
                             pauses=self._pauses, on_pause=pause)
        except NonFiniteLossError as error:
            raise self._explained(error) from error

    def _record(self, epoch: int, judgement: EvalResult, **measured: float) -> None:
        self._standing.epochs.append({"epoch": epoch, **judgement.record, **measured})
        self._scalars.write(epoch * self._task.steps, judgement.curves)

    def _log_training(self, state: EpochState, seconds: float) -> None:
        task, last = self._task, self._standing.state
        steps = state.done - last.done
        done = self._done + steps
        means = {f"train/{name}": (total - last.totals.get(name, 0.0)) / steps for name, total in state.totals.items()}
        self._scalars.write(done, {**means, **{f"train/{name}": value for name, value in task.curves(done).items()},
                                   f"train/{task.unit}_per_second": steps * task.batch_size / seconds})

    @property
    def _pauses(self) -> set[int]:
        """Steps of an epoch after which there is something to do."""
        every, steps = self._config.checkpoint_every_steps, self._task.steps
        return {*self._task.looks, *(range(every, steps + 1, every) if every else ())}

    def _look(self) -> None:
        standing = self._standing
        if standing.state.done in self._task.looks:
            standing.curve.append(self._task.look(self._done, standing.state, standing.looked))
            standing.looked = standing.state

    def _pause(self, stop: bool) -> None:
        every, seconds = self._config.checkpoint_every_steps, self._config.checkpoint_every_seconds
        done = self._standing.state.done
        due = (every and done % every == 0) or (seconds and time.perf_counter() - self._saved >= seconds)
        if stop or (due and done < self._task.steps):
            self._save()
        if stop:
            self._stop()

    def _should_stop(self, termination: Termination) -> bool:
        """Whether SIGTERM came to any worker: all must stop after the same step."""
        return total_over_workers(self._strategy, float(termination.requested)) > 0

    def _save(self) -> None:
        self._standing.seconds = self._seconds()
        self._checkpoints.save(self._done, self._task.variables, dataclasses.asdict(self._standing))
        self._saved = time.perf_counter()

    def _stop(self) -> None:
        console.print(Text(f"stopped by SIGTERM; the same command continues from {self._checkpoints.describe()}",
                           style="dim"), soft_wrap=True)
        raise SystemExit(EXIT_CODE)

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._started

    def _explained(self, error: NonFiniteLossError) -> UserError:
        """The same error with the ids of the batch and a way back."""
        epoch = self._standing.epoch
        batch = next(iter(self._task.batches(epoch, error.step - 1).as_numpy_iterator()))
        return UserError(f"{error}; epoch {epoch}, {self._task.describe(batch)}; last good checkpoint: "
                         f"{self._checkpoints.describe()}")
