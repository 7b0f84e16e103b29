"""Stage I from a dataset to an embeddings artifact."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrs_pretrain.artifacts import DATASET_INFO, file_digest, refuse_existing
from tfrs_pretrain.config import Config, PretrainingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.pairs import naming_corrupt_files, shuffled_batches
from tfrs_pretrain.embeddings.artifact import save_embeddings
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_rows
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.pretraining.evaluate import Evaluator
from tfrs_pretrain.pretraining.model import TwoTower
from tfrs_pretrain.pretraining.task import InBatchSoftmax
from tfrs_pretrain.progress import Meter, progress
from tfrs_pretrain.stages import peak_rss_bytes
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.schedules import make_schedule
from tfrs_pretrain.training.strategy import build_strategy, set_seeds


def pretrain(config: Config, dataset: Dataset, output: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Trains the user and item tables for all epochs and writes them as an embeddings artifact.

    Args:
      config: ``pretraining``, ``training`` and ``seed`` decide the run; the schema and the windows are the dataset's.
      dataset: a finished dataset.
      output: folder of the artifact.
      overwrite: replace a folder that is there.

    Returns:
      The manifest's content. ``epochs`` lists the metrics of the random rows (epoch 0) and after each epoch, see
      ``Evaluator``; ``train_loss`` is the mean over the epoch while it ran, so it lags behind the held-out loss.
      ``seconds`` of an epoch counts training only, ``evaluation_seconds`` the rest. The rows of the last epoch are
      kept.

    Raises:
      UserError: the output exists, a batch does not fit, a shard is damaged, or the loss is not finite.
    """
    start = time.perf_counter()
    refuse_existing(output, overwrite=overwrite)
    steps = _steps(config.pretraining, dataset)
    set_seeds(config.seed, deterministic=config.training.deterministic)
    strategy = build_strategy(config.training)
    _check_replicas(config.pretraining, strategy)
    with strategy.scope():
        model = build_model(config, dataset, steps)
    with naming_corrupt_files([*dataset.files("pairs/train"), *dataset.files("pairs/heldout")]):
        epochs = _train(config, dataset, strategy, model, steps)
    vocabularies = {name: dataset.vocabulary(name) for name in dataset.schema.id_spaces}
    manifest = {
        "config": config.resolved(),
        "dataset_info_digest": file_digest(dataset.folder / DATASET_INFO),
        "epochs": epochs,
        "kept_epoch": config.pretraining.epochs,
        "peak_rss_bytes": peak_rss_bytes(),
        "replicas": strategy.num_replicas_in_sync,
        "seconds": time.perf_counter() - start,
        "seed": config.seed,
        "steps_per_epoch": steps,
        "vocabulary_digests": {name: vocabulary.digest for name, vocabulary in vocabularies.items()},
        "window": dataset.windows.pretrain.model_dump(mode="json"),
    }
    save_embeddings(output, {"user": model.users.numpy(), "item": model.items.numpy()}, vocabularies, manifest,
                    overwrite=overwrite)
    return manifest


def build_model(config: Config, dataset: Dataset, steps: int) -> TwoTower:
    """Random tables and the task, for ``steps`` steps an epoch; call it inside ``strategy.scope()``."""
    settings = config.pretraining
    seeds = np.random.SeedSequence(config.seed).generate_state(2)
    users, items = (EmbeddingTable(name, normal_rows(dataset.rows(name), settings.dim, settings.initial_scale, seed),
                                   make_optimizer(settings.optimizer))
                    for name, seed in zip(("user", "item"), seeds, strict=True))
    task = InBatchSoftmax(temperature=settings.temperature, normalize=settings.normalize,
                          remove_accidental_hits=settings.remove_accidental_hits)
    probability = sampling_probability(dataset) if settings.log_q else None
    learning_rate = make_schedule(settings.schedule, settings.learning_rate, settings.epochs * steps)
    return TwoTower(users, items, task, probability, learning_rate)


def sampling_probability(dataset: Dataset) -> np.ndarray:
    """float64 [item rows]: share of each candidate row in pairs/train, at least one pair's worth.

    The floor only serves rows that are held out but never trained on, where the held-out loss needs a finite value.
    """
    return np.maximum(dataset.candidate_probability, 1.0 / dataset.examples("pairs/train"))


def _train(config: Config, dataset: Dataset, strategy: tf.distribute.Strategy, model: TwoTower,
           steps: int) -> list[dict[str, Any]]:
    settings, files = config.pretraining, dataset.files("pairs/train")
    evaluator = Evaluator(dataset, settings)
    epochs: list[dict[str, Any]] = [{"epoch": 0, "train_loss": None, **evaluator(model)}]
    total = settings.epochs * steps * settings.batch_size
    with progress("Stage I: contrastive pretraining", total, "pairs") as meter:
        for epoch in range(1, settings.epochs + 1):
            batches = shuffled_batches(files, settings.batch_size, seed=config.seed, epoch=epoch)
            epochs.append(_epoch(epoch, strategy, model, batches, steps, settings, evaluator, meter, epochs[-1]))
    return epochs


def _epoch(epoch: int, strategy: tf.distribute.Strategy, model: TwoTower, batches: tf.data.Dataset, steps: int,
           settings: PretrainingConfig, evaluator: Evaluator, meter: Meter, last: dict[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    note = f"epoch {epoch}/{settings.epochs} · held-out {last['heldout_loss']:.4f} · "
    loss = run_epoch(strategy, model.train_step, batches, steps=steps, meter=meter, note=note)["loss"]
    trained = time.perf_counter()
    metrics = evaluator(model)
    meter.note(f"epoch {epoch}/{settings.epochs} · loss {loss:.4f} · held-out {metrics['heldout_loss']:.4f}")
    return {"epoch": epoch, "train_loss": loss, **metrics, "seconds": trained - start,
            "evaluation_seconds": time.perf_counter() - trained,
            "pairs_per_second": steps * settings.batch_size / (trained - start)}


def _steps(settings: PretrainingConfig, dataset: Dataset) -> int:
    pairs = dataset.examples("pairs/train")
    if pairs < settings.batch_size:
        raise UserError(f"pretraining.batch_size is {settings.batch_size}, but dataset {str(dataset.folder)!r} has "
                        f"only {pairs} training pairs: lower it to {pairs} or less")
    return pairs // settings.batch_size


def _check_replicas(settings: PretrainingConfig, strategy: tf.distribute.Strategy) -> None:
    if settings.batch_size % strategy.num_replicas_in_sync:
        raise UserError(f"pretraining.batch_size {settings.batch_size} must be a multiple of the "
                        f"{strategy.num_replicas_in_sync} devices: change it or training.logical_cpus")
