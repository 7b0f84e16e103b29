"""The epochs of Stage I: train, judge, checkpoint, and continue where an earlier process stopped."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.text import Text

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.pairs import shuffled_batches, training_columns
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.pretraining.evaluate import Evaluator
from tfrs_pretrain.pretraining.model import TwoTower
from tfrs_pretrain.progress import Meter, console, progress
from tfrs_pretrain.training.checkpoint import Checkpoints
from tfrs_pretrain.training.loop import EpochState, NonFiniteLossError, run_epoch
from tfrs_pretrain.training.strategy import is_chief, total_over_workers
from tfrs_pretrain.training.tensorboard import Scalars
from tfrs_pretrain.training.termination import EXIT_CODE, Termination, noticing_sigterm

_NAMED_PAIRS = 5  # of a batch, in an error


@dataclasses.dataclass
class Standing:
    """Where a run stands; with the model's variables, all that it continues from.

    Attributes:
      epochs: metrics of each finished epoch.
      state: of the epoch under way.
      epoch_seconds: training time of the epoch under way, over all processes that worked on it.
      seconds: time of the whole run, likewise.
    """

    epochs: list[dict[str, Any]]
    state: EpochState
    epoch_seconds: float = 0.0
    seconds: float = 0.0

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Standing:
        return cls(**{**tree, "state": EpochState(**tree["state"])})

    @property
    def epoch(self) -> int:
        """Number of the epoch under way, 1 at the first."""
        return len(self.epochs)  # epochs[0] judges the random rows


class Epochs:
    """Trains a model for the configured epochs.

    Args:
      config: of the run.
      dataset: pairs to train on and to judge with.
      strategy: from ``build_strategy``.
      model: changed in place.
      steps: in an epoch.
      checkpoints: written while training, and continued from where there are some.
    """

    def __init__(self, config: Config, dataset: Dataset, strategy: tf.distribute.Strategy, model: TwoTower, steps: int,
                 checkpoints: Checkpoints):
        self._config, self._dataset, self._strategy = config, dataset, strategy
        self._model, self._steps, self._checkpoints = model, steps, checkpoints
        self._standing = Standing([], EpochState())
        self._seconds_before, self._started = 0.0, time.perf_counter()
        self._saved = self._started
        folder = config.training.tensorboard
        self._scalars = Scalars(Path(folder) if folder and is_chief(strategy) else None)

    def run(self) -> Standing:
        """Trains what is left to train.

        Raises:
          UserError: the checkpoints are another run's, a shard is damaged, or the loss is not finite.
          SystemExit: SIGTERM came (code 143); a checkpoint was written.
        """
        settings, batch_size = self._config.pretraining, self._config.pretraining.batch_size
        evaluator = Evaluator(self._dataset, settings)
        if not self._resume():
            metrics = evaluator(self._model)
            self._scalars.write(0, {f"heldout/{name}": value for name, value in metrics.items()})
            self._standing.epochs.append({"epoch": 0, "train_loss": None, **metrics})
        done = (self._standing.epoch - 1) * self._steps + self._standing.state.done
        total = (settings.epochs * self._steps - done) * batch_size
        with progress("Stage I: contrastive pretraining", total, "pairs") as meter:
            while self._standing.epoch <= settings.epochs:
                self._epoch(evaluator, meter)
        self._standing.seconds = self._seconds()
        return self._standing

    def _resume(self) -> bool:
        restored = self._checkpoints.restore(self._model.variables)
        self._check_workers_agree(restored.step if restored else 0)
        if restored is None:
            return False
        for damaged in restored.damaged:
            console.print(Text(f"! checkpoint {damaged} is damaged: the one before is used", style="yellow"),
                          soft_wrap=True)
        self._standing = Standing.from_json(restored.progress)
        self._seconds_before = self._standing.seconds
        where = f"epoch {self._standing.epoch}, step {self._standing.state.done} of {self._steps}"
        console.print(Text(f"continues from checkpoint {restored.path} ({where})", style="dim"), soft_wrap=True)
        return True

    def _check_workers_agree(self, step: int) -> None:
        """The replicas' tables are copies of each other only if all workers read the same checkpoint."""
        workers = total_over_workers(self._strategy, 1)
        mean = total_over_workers(self._strategy, step) / workers
        if total_over_workers(self._strategy, abs(step - mean)):
            raise UserError(f"this worker found a checkpoint of step {step}, another worker another one: write the "
                            "output to a folder that all workers share")

    def _epoch(self, evaluator: Evaluator, meter: Meter) -> None:
        standing, settings = self._standing, self._config.pretraining
        epoch, last = standing.epoch, standing.epochs[-1]
        before, start = standing.epoch_seconds, time.perf_counter()
        note = f"epoch {epoch}/{settings.epochs} · held-out {last['heldout_loss']:.4f} · "

        def pause(state: EpochState) -> None:
            elapsed = before + time.perf_counter() - start
            self._log_training(standing.state, state, elapsed - standing.epoch_seconds)
            standing.state, standing.epoch_seconds = state, elapsed
            self._pause(self._should_stop(termination))

        with noticing_sigterm() as termination:
            try:
                loss = run_epoch(self._strategy, self._model.train_step, self._batches(epoch, standing.state.done),
                                 steps=self._steps, meter=meter, note=note, start=standing.state,
                                 pause_every=self._config.training.checkpoint_every_steps, on_pause=pause)["loss"]
            except NonFiniteLossError as error:
                raise self._explained(error, epoch) from error
            trained = time.perf_counter()
            metrics = evaluator(self._model)
            meter.note(f"epoch {epoch}/{settings.epochs} · loss {loss:.4f} · held-out {metrics['heldout_loss']:.4f}")
            standing.epochs.append({
                "epoch": epoch, "train_loss": loss, **metrics, "seconds": standing.epoch_seconds,
                "evaluation_seconds": time.perf_counter() - trained,
                "pairs_per_second": self._steps * settings.batch_size / standing.epoch_seconds})
            standing.state, standing.epoch_seconds = EpochState(), 0.0
            self._scalars.write(epoch * self._steps, {f"heldout/{name}": value for name, value in metrics.items()})
            self._save()
            if self._should_stop(termination):
                self._stop()

    def _log_training(self, last: EpochState, state: EpochState, seconds: float) -> None:
        steps = state.done - last.done
        done = (self._standing.epoch - 1) * self._steps + state.done
        means = {f"train/{name}": (total - last.totals.get(name, 0.0)) / steps for name, total in state.totals.items()}
        rate = float(self._model.learning_rate(tf.constant(done - 1, tf.int64)))  # of the last step done
        self._scalars.write(done, {**means, "train/learning_rate": rate, "train/pairs_per_second":
                                   steps * self._config.pretraining.batch_size / seconds})

    def _batches(self, epoch: int, start: int) -> tf.data.Dataset:
        return shuffled_batches(self._dataset.files("pairs/train"), self._config.pretraining.batch_size,
                                seed=self._config.seed, epoch=epoch, start=start,
                                columns=training_columns(self._dataset.schema))

    def _pause(self, stop: bool) -> None:
        every, seconds = self._config.training.checkpoint_every_steps, self._config.training.checkpoint_every_seconds
        done = self._standing.state.done
        due = (every and done % every == 0) or (seconds and time.perf_counter() - self._saved >= seconds)
        if stop or (due and done < self._steps):
            self._save()
        if stop:
            self._stop()

    def _should_stop(self, termination: Termination) -> bool:
        """Whether SIGTERM came to any worker: all must stop after the same step."""
        return total_over_workers(self._strategy, float(termination.requested)) > 0

    def _save(self) -> None:
        standing = self._standing
        standing.seconds = self._seconds()
        self._checkpoints.save((standing.epoch - 1) * self._steps + standing.state.done, self._model.variables,
                               dataclasses.asdict(standing))
        self._saved = time.perf_counter()

    def _stop(self) -> None:
        console.print(Text(f"stopped by SIGTERM; the same command continues from {self._checkpoints.describe()}",
                           style="dim"), soft_wrap=True)
        raise SystemExit(EXIT_CODE)

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._started

    def _explained(self, error: NonFiniteLossError, epoch: int) -> UserError:
        """The same error with the ids of the batch and a way back."""
        batch = next(iter(self._batches(epoch, error.step - 1).as_numpy_iterator()))
        pairs = zip(*(self._ids(space, batch[side]) for space, side in (("user", "query"), ("item", "candidate"))),
                    strict=True)
        named = ", ".join(f"({user}, {item})" for user, item in pairs)
        return UserError(f"{error}; epoch {epoch}, first (user, item) pairs of the batch: {named}; last good "
                         f"checkpoint: {self._checkpoints.describe()}")

    def _ids(self, space: str, rows: Any) -> list[str]:
        vocabulary = self._dataset.vocabulary(space)
        return [repr(vocabulary.ids[int(row) - vocabulary.oov_rows].as_py()) if row >= vocabulary.oov_rows
                else f"out-of-vocabulary row {row}" for row in rows[:_NAMED_PAIRS]]
