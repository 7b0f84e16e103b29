"""Stage I from a dataset to an embeddings artifact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.text import Text

from tfrs_pretrain.artifact_names import DATASET_INFO, MANIFEST
from tfrs_pretrain.artifacts import file_digest, refuse_existing
from tfrs_pretrain.config import Config, PretrainingConfig, Window
from tfrs_pretrain.data.dataset import Dataset, pair_columns
from tfrs_pretrain.data.pairs import naming_corrupt_files
from tfrs_pretrain.embeddings.artifact import Embeddings, save_embeddings
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.machine import machine
from tfrs_pretrain.pretraining.memory_plan import PretrainingMemoryPlan
from tfrs_pretrain.pretraining.model import TwoTower
from tfrs_pretrain.pretraining.negatives import NegativeSampling
from tfrs_pretrain.pretraining.objective import build_log_temperature, build_task, known_positives, popularity_prior
from tfrs_pretrain.pretraining.training_task import TwoTowerTrainingTask
from tfrs_pretrain.progress import console
from tfrs_pretrain.stages import peak_rss_bytes
from tfrs_pretrain.training.checkpoint import Checkpoints, checkpoint_folder
from tfrs_pretrain.training.devices import local_devices
from tfrs_pretrain.training.memory_check import show_plan
from tfrs_pretrain.training.schedules import make_schedule
from tfrs_pretrain.training.strategy import build_strategy, is_chief, set_seeds
from tfrs_pretrain.training.trainer import Trainer


def pretrain(config: Config, dataset: Dataset, output: Path, *, start_from: Path | None = None,
             overwrite: bool = False) -> dict[str, Any]:
    """Trains the user and item tables for all epochs and writes them as an embeddings artifact.

    While it trains, checkpoints lie beside the output; the same call after a kill continues from the newest one and
    ends, on one device with ``training.deterministic``, with the same bits as an uninterrupted run. With
    ``training.strategy`` "multi_worker" every worker makes this call, with folders that all share; the first writes.

    Args:
      config: ``pretraining``, ``training`` and ``seed`` decide the run; the schema and the windows are the dataset's.
      dataset: a finished dataset.
      output: folder of the artifact.
      start_from: folder of an earlier artifact, such as last week's: ids that it knows start at their rows there.
      overwrite: replace a folder that is there.

    Returns:
      The manifest's content. ``epochs`` lists the metrics of the rows at the start (epoch 0) and after each epoch, see
      ``Evaluator``; ``train_loss`` is the mean over the epoch while it ran, so it lags behind the held-out loss.
      ``seconds`` of an epoch counts training only, ``evaluation_seconds`` the rest. The rows of the last epoch are
      kept. Logits are ``similarity / temperature + popularity_prior * log(share of the item in the training pairs)``
      with the ``temperature`` as it is in the end: what ranks as the run's metrics did needs both.

    Raises:
      UserError: the output exists, another process trains into it, checkpoints of another run lie beside it, a batch
        does not fit, the tables do not fit on the devices, the rows to start from do not fit or were learnt from the
        time that is ranked, a shard is damaged, or the loss is not finite.
      SystemExit: SIGTERM came (code 143); a checkpoint was written.
    """
    refuse_existing(output, overwrite=overwrite)
    steps = _steps(config.pretraining, dataset)
    earlier = Embeddings.open(start_from) if start_from else None
    if earlier:
        earlier.check_window(dataset)
    set_seeds(config.seed, deterministic=config.training.deterministic)
    strategy = build_strategy(config.training)
    _check_replicas(config.pretraining, strategy)
    show_plan(PretrainingMemoryPlan(config, dataset), local_devices(config.training),
              lambda name: dataset.vocabulary(name).counts)
    with strategy.scope():
        model = build_model(config, dataset, steps, earlier)
    identity = run_identity(config, dataset, strategy.num_replicas_in_sync, earlier)
    checkpoints = Checkpoints(checkpoint_folder(output), identity, keep=config.training.keep_checkpoints,
                              writes=is_chief(strategy))
    files = [*dataset.files("pairs/train"), *dataset.files("pairs/heldout")]
    with checkpoints.exclusive(), naming_corrupt_files(files, pair_columns(dataset.schema)):
        task = TwoTowerTrainingTask(config, dataset, model, steps)
        trained = Trainer(config.training, strategy, task, checkpoints).run()
    vocabularies = {name: dataset.vocabulary(name) for name in dataset.schema.id_spaces}
    manifest = {
        "config": config.resolved(),
        "dataset_info_digest": identity["dataset_info_digest"],
        "epochs": trained.epochs,
        "kept_epoch": config.pretraining.epochs,
        "machine": machine(),
        "peak_rss_bytes": peak_rss_bytes(),
        "popularity_prior": config.pretraining.objective.popularity_prior,
        "replicas": strategy.num_replicas_in_sync,
        "seconds": trained.seconds,
        "seed": config.seed,
        "steps_per_epoch": steps,
        "temperature": float(model.temperature),
        "vocabulary_digests": {name: vocabulary.digest for name, vocabulary in vocabularies.items()},
        "window": _learnt_from(dataset, earlier).model_dump(mode="json"),
    }
    if not is_chief(strategy):
        return manifest
    save_embeddings(output, {"user": model.users.numpy(), "item": model.items.numpy()}, vocabularies, manifest,
                    overwrite=overwrite)
    checkpoints.remove()
    return manifest


def build_model(config: Config, dataset: Dataset, steps: int, earlier: Embeddings | None = None) -> TwoTower:
    """Tables, random but for rows of earlier ones, and the task; call it inside ``strategy.scope()``.

    Args:
      config: Stage I and the seed.
      dataset: sizes, vocabularies and item shares.
      steps: steps an epoch.
      earlier: rows to start from.
    """
    settings = config.pretraining
    users, items = (EmbeddingTable(name, rows, make_optimizer(settings.optimizer, l2=settings.embedding_l2,
                                                              interval_decay=settings.interval_decay))
                    for name, rows in _initial_rows(config, dataset, earlier))
    learning_rate = make_schedule(settings.schedule, settings.learning_rate, settings.epochs * steps,
                                  warmup_steps=settings.warmup_steps)
    negatives = settings.objective.negatives
    sampling = NegativeSampling(negatives.kind != "uniform", negatives.count, dataset.rows("item"), config.seed)
    share = dataset.sampling_probability
    probability = sampling.probability(share, settings.batch_size) if negatives.log_q != "none" else None
    return TwoTower(users, items, build_task(settings, dataset.rows("item")), probability, learning_rate,
                    sampling=sampling, prior=popularity_prior(settings, share),
                    known=known_positives(dataset) if negatives.mask_known_positives else None,
                    log_temperature=build_log_temperature(settings))


def _initial_rows(config: Config, dataset: Dataset, earlier: Embeddings | None) -> Iterator[tuple[str, np.ndarray]]:
    settings = config.pretraining
    seeds = np.random.SeedSequence(config.seed).generate_state(2)
    for name, seed in zip(("user", "item"), seeds, strict=True):
        rows = normal_matrix(dataset.rows(name), settings.dim, settings.initial_scale, seed)
        if earlier:
            carried, ids = earlier.copy_known_rows(rows, name, dataset), len(dataset.vocabulary(name).ids)
            text = f"{name}: {carried:,} of {ids:,} ids start at the rows of {earlier.folder}"
            console.print(Text(text, style="dim"), soft_wrap=True)
        yield name, rows


def _learnt_from(dataset: Dataset, earlier: Embeddings | None) -> Window:
    """From the earliest that the rows have seen to the latest."""
    windows = [dataset.windows.pretrain, *([earlier.window] if earlier else [])]
    first, last = (key(windows, key=lambda window: window.bounds[end]) for end, key in enumerate((min, max)))
    return Window(start=first.start, end=last.end)


def run_identity(config: Config, dataset: Dataset, replicas: int, earlier: Embeddings | None = None) -> dict[str, Any]:
    """All that decides the trained rows, as JSON: checkpoints of another run must not be continued."""
    started = {"start_from_digest": file_digest(earlier.folder / MANIFEST)} if earlier else {}
    return started | {"dataset_info_digest": file_digest(dataset.folder / DATASET_INFO), "seed": config.seed,
            "pretraining": config.pretraining.model_dump(mode="json"),
            "deterministic": config.training.deterministic, "replicas": replicas}


def _steps(settings: PretrainingConfig, dataset: Dataset) -> int:
    pairs = dataset.examples("pairs/train")
    if pairs < settings.batch_size:
        raise UserError(f"pretraining.batch_size is {settings.batch_size}, but dataset {str(dataset.folder)!r} has "
                        f"only {pairs} training pairs: lower it to {pairs} or less")
    return pairs // settings.batch_size


def _check_replicas(settings: PretrainingConfig, strategy: tf.distribute.Strategy) -> None:
    if settings.batch_size % strategy.num_replicas_in_sync:
        raise UserError(f"pretraining.batch_size {settings.batch_size} must be a multiple of the "
                        f"{strategy.num_replicas_in_sync} devices: change it or training.strategy")
