"""The training of a stage: epochs, evaluations, checkpoints, resuming, and the stop at SIGTERM."""

from __future__ import annotations

import time
from pathlib import Path

import tensorflow as tf
from rich.text import Text

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import Meter, console, print_warning, progress
from tfrs_pretrain.training.checkpoint import Checkpoints
from tfrs_pretrain.training.checkpoint_schedule import CheckpointSchedule
from tfrs_pretrain.training.epoch_state import EpochState
from tfrs_pretrain.training.loop import NonFiniteLossError, run_epoch
from tfrs_pretrain.training.strategy import is_chief, report_lost_workers, total_over_workers
from tfrs_pretrain.training.tensorboard import ScalarWriter
from tfrs_pretrain.training.termination import EXIT_CODE, Termination, graceful_sigterm
from tfrs_pretrain.training.training_progress import TrainingProgress
from tfrs_pretrain.training.training_task import EvalResult, TrainingTask
from tfrs_pretrain.vertex_environment import TENSORBOARD, vertex_folder


class Trainer:
    """Runs the epochs of a task, from its newest checkpoint if there is one.

    Args:
      config: checkpoints and TensorBoard.
      strategy: from ``build_strategy``.
      task: changed in place.
      checkpoints: written while training; the newest one is where the run resumes.
    """

    def __init__(self, config: TrainingConfig, strategy: tf.distribute.Strategy, task: TrainingTask,
                 checkpoints: Checkpoints):
        self._strategy, self._task, self._checkpoints = strategy, task, checkpoints
        self._progress = TrainingProgress()
        self._seconds_before, self._started = 0.0, time.perf_counter()
        self._schedule = CheckpointSchedule(config, task.steps)
        folder = config.tensorboard or vertex_folder(TENSORBOARD)
        self._scalars = ScalarWriter(Path(folder) / task.name if folder and is_chief(strategy) else None)

    def run(self) -> TrainingProgress:
        """Run the epochs that are left.

        Raises:
          UserError: the checkpoints belong to another run, a shard is damaged, a scalar is not finite, or another
            worker ended.
          SystemExit: SIGTERM was received (exit code 143); a checkpoint was written.
        """
        with report_lost_workers(self._strategy):
            return self._run()

    def _run(self) -> TrainingProgress:
        task = self._task
        if not self._resume() and (initial := task.evaluate_start()):
            self._progress.epochs.append({"epoch": 0, **initial.record})
            self._scalars.write(0, initial.scalars)
        total = (task.epochs * task.steps - self._steps_done) * task.batch_size
        with progress(task.title, total, task.unit) as meter:
            while self._progress.epoch <= task.epochs and not task.is_done(self._progress.epochs):
                self._run_epoch(meter)
        self._progress.seconds = self._seconds()
        return self._progress

    @property
    def _steps_done(self) -> int:
        """Steps of the whole run."""
        return (self._progress.epoch - 1) * self._task.steps + self._progress.epoch_state.steps_done

    def _resume(self) -> bool:
        """Restore the newest checkpoint; False if there is none."""
        restored = self._checkpoints.restore(self._task.variables)
        self._check_workers_agree(restored.step if restored else 0)
        self._report_damaged(use="no other one is usable: starting from the beginning" if restored is None else
                             "using the one before it")
        if restored is None:
            return False
        self._progress = TrainingProgress.from_json(restored.progress)
        self._seconds_before = self._progress.seconds
        position = f"epoch {self._progress.epoch}, step {self._progress.epoch_state.steps_done} of {self._task.steps}"
        console.print(Text(f"resuming from checkpoint {restored.path} ({position})", style="dim"), soft_wrap=True)
        return True

    def _report_damaged(self, use: str) -> None:
        lines = [f"checkpoint {damaged} is damaged: {use}" for damaged in self._checkpoints.damaged]
        if lines:
            lines.append(f"damaged checkpoints are kept in {self._checkpoints.folder} until the run finishes")
        for line in lines:
            print_warning(line)

    def _check_workers_agree(self, step: int) -> None:
        """The replicas' tables are equal only if all workers read the same checkpoint."""
        workers = total_over_workers(self._strategy, 1)
        mean = total_over_workers(self._strategy, step) / workers
        if total_over_workers(self._strategy, abs(step - mean)):
            raise UserError(f"this worker found a checkpoint of step {step}, another worker found a different one: "
                            "write the output to a folder that all workers share")

    def _run_epoch(self, meter: Meter) -> None:
        task, epoch = self._task, self._progress.epoch
        title = f"epoch {epoch}/{task.epochs} · "
        with graceful_sigterm() as termination:
            if self._progress.epoch_state.steps_done == 0:
                task.begin_epoch(epoch)
            previous = "".join(f"{task.progress_text(record)} · " for record in self._progress.epochs[-1:])
            means = self._run_steps(meter, title + previous, termination)
            started = time.perf_counter()
            result = task.evaluate(epoch, means)
            self._finish_epoch(epoch, result, evaluation_seconds=time.perf_counter() - started)
            meter.note(f"{title}loss {means['loss']:.4f} · {task.progress_text(result.record)}")
            self._save()
            if self._should_stop(termination):
                self._stop()

    def _run_steps(self, meter: Meter, title: str, termination: Termination) -> dict[str, float]:
        """Run the remaining steps of the epoch; mean scalars of the whole epoch."""
        task, run = self._task, self._progress
        seconds_before, started = run.epoch_seconds, time.perf_counter()

        def on_pause(state: EpochState) -> None:
            seconds = seconds_before + time.perf_counter() - started
            self._write_scalars(state, seconds - run.epoch_seconds)
            run.epoch_state, run.epoch_seconds = state, seconds
            self._evaluate_mid_epoch()
            self._checkpoint_or_stop(self._should_stop(termination))

        try:
            return run_epoch(self._strategy, task.step, task.batches(run.epoch, run.epoch_state.steps_done),
                             steps=task.steps, meter=meter, title=title, start=run.epoch_state,
                             pause_steps={*task.eval_steps, *self._schedule.pause_steps}, on_pause=on_pause)
        except NonFiniteLossError as error:
            raise self._with_batch(error) from error

    def _finish_epoch(self, epoch: int, result: EvalResult, *, evaluation_seconds: float) -> None:
        task, seconds = self._task, self._progress.epoch_seconds
        rate = task.steps * task.batch_size / seconds
        self._progress.finish_epoch({"epoch": epoch, **result.record, "seconds": seconds,
                                     "evaluation_seconds": evaluation_seconds, f"{task.unit}_per_second": rate})
        self._scalars.write(epoch * task.steps, result.scalars)

    def _write_scalars(self, state: EpochState, seconds: float) -> None:
        """Write the training scalars since the last pause, which took ``seconds``."""
        task, last = self._task, self._progress.epoch_state
        steps = state.steps_done - last.steps_done
        steps_done = self._steps_done + steps
        scalars = {**state.means_since(last), **task.step_scalars(steps_done),
                   f"{task.unit}_per_second": steps * task.batch_size / seconds}
        self._scalars.write(steps_done, {f"train/{name}": value for name, value in scalars.items()})

    def _evaluate_mid_epoch(self) -> None:
        run = self._progress
        if run.epoch_state.steps_done in self._task.eval_steps:
            run.curve.append(self._task.evaluate_mid_epoch(self._steps_done, run.epoch_state, run.last_eval_state))
            run.last_eval_state = run.epoch_state

    def _checkpoint_or_stop(self, stop: bool) -> None:
        if stop or self._schedule.is_due(self._progress.epoch_state.steps_done):
            self._save()
        if stop:
            self._stop()

    def _should_stop(self, termination: Termination) -> bool:
        """Whether any worker received SIGTERM: all must stop after the same step."""
        return total_over_workers(self._strategy, float(termination.requested)) > 0

    def _save(self) -> None:
        self._progress.seconds = self._seconds()
        self._checkpoints.save(self._steps_done, self._task.variables, self._progress.to_json())
        self._schedule.restart_clock()

    def _stop(self) -> None:
        console.print(Text(f"stopped by SIGTERM; run the same command to resume from {self._checkpoints.describe()}",
                           style="dim"), soft_wrap=True)
        raise SystemExit(EXIT_CODE)

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._started

    def _with_batch(self, error: NonFiniteLossError) -> UserError:
        """The same error with the first ids of the batch and the last good checkpoint."""
        epoch = self._progress.epoch
        batch = next(iter(self._task.batches(epoch, error.step - 1).as_numpy_iterator()))
        return UserError(f"{error}; epoch {epoch}, {self._task.describe_batch(batch)}; last good checkpoint: "
                         f"{self._checkpoints.describe()}")
