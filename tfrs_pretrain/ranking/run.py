"""Stage II, one arm: build student and teacher, learn, score validation and test, write the ranker artifact."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.artifacts import json_digest, read_manifest, refuse_existing
from tfrs_pretrain.config import ArmConfig, Config, RankingConfig
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset
from tfrs_pretrain.data.impressions import reading, training_batches
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import progress
from tfrs_pretrain.ranking.artifact import KIND, save_ranker
from tfrs_pretrain.ranking.distillation import Step, distillation_step, label_step
from tfrs_pretrain.ranking.inputs import Inputs
from tfrs_pretrain.ranking.learner import Learner
from tfrs_pretrain.ranking.losses import LabelLoss
from tfrs_pretrain.ranking.network import make_network
from tfrs_pretrain.ranking.predict import judge, predict
from tfrs_pretrain.ranking.ranker import build_ranker
from tfrs_pretrain.ranking.transfer import coverage, initial_rows, seed_of
from tfrs_pretrain.stages import peak_rss_bytes
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.strategy import build_strategy, set_seeds

TRAIN, VALIDATION, TEST = IMPRESSION_SPLITS


def train_arm(config: Config, dataset: Dataset, arm: str, output: Path, *, embeddings: Path | None,
              overwrite: bool = False) -> dict[str, Any]:
    """Trains and judges one arm of ``ranking.arms`` and writes its artifact.

    Arms of one configuration see the same batches in the same order and, where they do not differ by design, the same
    initial values. Validation is scored after every epoch, test once, at the end.

    Args:
      config: the run's configuration.
      dataset: impressions and vocabularies.
      arm: name in ``config.ranking.arms``.
      output: folder of the artifact.
      embeddings: folder of the pretrained rows; an arm from scratch ignores it.
      overwrite: replace a folder that is there.

    Returns:
      the artifact's manifest.

    Raises:
      UserError: the arm is unknown, lacks its embeddings or gets foreign ones, the batch does not fit the data or
        the devices, the data is damaged, or the loss is not finite.
    """
    refuse_existing(output, overwrite=overwrite)
    if config.training.strategy == "multi_worker":
        raise UserError("training.strategy is multi_worker, which only Stage I offers: rank with --set "
                        "training.strategy=auto")
    started = time.monotonic()
    settings = _settings(config, arm)
    pretrained = _open_embeddings(settings, arm, embeddings)
    strategy = build_strategy(config.training)
    set_seeds(config.seed, deterministic=config.training.deterministic)
    steps = _steps(config, dataset, strategy.num_replicas_in_sync)
    with reading(dataset, *IMPRESSION_SPLITS):
        with strategy.scope():
            step, student = _build(config, dataset, settings, pretrained)
        epochs = []
        for epoch in range(config.ranking.epochs):
            learnt = _learn(config, dataset, arm, strategy, step, epoch=epoch, steps=steps)
            scored = {"validation": _score(student, dataset, arm, VALIDATION)}
            epochs.append({**learnt, "validation": judge(scored["validation"], dataset)["metrics"]})
        scored["test"] = _score(student, dataset, arm, TEST)
        judged = {split: judge(table, dataset) for split, table in scored.items()}
        covered = {split.rpartition("/")[2]: coverage(dataset, split) for split in IMPRESSION_SPLITS if pretrained}
    manifest = {
        "arm": arm, "transfer": settings.transfer, "embeddings": _summary(pretrained), "coverage": covered,
        "epochs": epochs,
        "metrics": {split: result["metrics"] for split, result in judged.items()},
        "slices": {split: result["slices"] for split, result in judged.items()},
        "seconds": time.monotonic() - started, "replicas": strategy.num_replicas_in_sync,
        "examples_per_second": sum(e["examples"] for e in epochs) / sum(e["seconds"] for e in epochs),
        "peak_rss_bytes": peak_rss_bytes(), **_provenance(config, dataset),
    }
    save_ranker(output, student.ranker, scored, manifest, overwrite=overwrite)
    return read_manifest(output, KIND)


def build_learner(config: RankingConfig, dataset: Dataset, arm: ArmConfig, embeddings: Embeddings | None, *,
                  hidden: Sequence[int], seed: int, privileged: bool) -> Learner:
    """A ranker with its optimizers at its initial values; call it inside the strategy's scope.

    Args:
      config: dimensions and learning rates.
      dataset: gives sizes, features and statistics.
      arm: gives the learning rate of warm-started tables.
      embeddings: pretrained rows, or None to start from scratch.
      hidden: layers of its network.
      seed: of its random values.
      privileged: whether it sees features that serving lacks.
    """
    inputs, label_loss = Inputs.of(dataset, config, privileged=privileged), LabelLoss.of(config, dataset)
    rows = initial_rows(inputs, dataset, config, seed=seed, embeddings=embeddings)
    network = make_network(config, hidden=hidden, seed=seed_of(seed, "network"), attention=inputs.attention)
    ranker = build_ranker(inputs, rows, network, table_optimizer=config.table_optimizer, labels=label_loss.labels)
    warm = dataset.schema.id_spaces if embeddings else ()
    scales = {name: arm.pretrained_learning_rate_scale if name in warm else 1.0 for name in inputs.tables}
    return Learner(ranker, learning_rate=config.learning_rate, label_loss=label_loss,
                   table_learning_rates={name: config.table_learning_rate * scale for name, scale in scales.items()})


def _settings(config: Config, arm: str) -> ArmConfig:
    if arm not in config.ranking.arms:
        raise UserError(f"arm {arm!r} is not in ranking.arms: name one of {sorted(config.ranking.arms)}")
    return config.ranking.arms[arm]


def _open_embeddings(settings: ArmConfig, arm: str, folder: Path | None) -> Embeddings | None:
    if settings.transfer == "scratch":
        return None
    if folder is None:
        raise UserError(f"arm {arm!r} has transfer 'warm_start' but no embeddings came: run `tfrs-pretrain pretrain` "
                        "first and name its output")
    return Embeddings.open(folder)


def _steps(config: Config, dataset: Dataset, replicas: int) -> int:
    batch_size = config.ranking.batch_size
    if batch_size % replicas:
        raise UserError(f"ranking.batch_size {batch_size} cannot be split over {replicas} devices: choose a multiple "
                        f"of {replicas}")
    steps = dataset.examples(TRAIN) // batch_size
    if steps == 0:
        raise UserError(f"ranking.batch_size {batch_size} is larger than the {dataset.examples(TRAIN)} training "
                        "impressions: lower it")
    return steps


def _build(config: Config, dataset: Dataset, arm: ArmConfig, embeddings: Embeddings | None) -> tuple[Step, Learner]:
    """The arm's step and the student that it teaches."""
    student = build_learner(config.ranking, dataset, arm, embeddings, hidden=config.ranking.hidden,
                            seed=seed_of(config.seed, "student"), privileged=False)
    if arm.distillation is None:
        return label_step(student), student
    teacher = build_learner(config.ranking, dataset, arm, embeddings, hidden=arm.distillation.hidden,
                            seed=seed_of(config.seed, "teacher"), privileged=arm.distillation.privileged)
    return distillation_step(student, teacher, arm.distillation), student


def _learn(config: Config, dataset: Dataset, arm: str, strategy: tf.distribute.Strategy, step: Step, *, epoch: int,
           steps: int) -> dict[str, Any]:
    batch_size = config.ranking.batch_size
    batches = training_batches(dataset, batch_size=batch_size, seed=config.seed, epoch=epoch)
    started = time.monotonic()
    title = f"{arm}: epoch {epoch + 1} of {config.ranking.epochs}"
    with progress(title, total=steps * batch_size, unit="impressions") as meter:
        losses = run_epoch(strategy, step, batches, steps=steps, meter=meter)
    seconds = time.monotonic() - started
    return {"epoch": epoch + 1, "train": losses, "examples": steps * batch_size, "seconds": seconds}


def _score(student: Learner, dataset: Dataset, arm: str, split: str) -> pa.Table:
    title = f"{arm}: score {split.rpartition('/')[2]}"
    with progress(title, total=dataset.examples(split), unit="impressions") as meter:
        return predict(student.ranker, dataset, split, meter=meter)


def _summary(embeddings: Embeddings | None) -> dict[str, Any] | None:
    if embeddings is None:
        return None
    return {key: embeddings.manifest[key] for key in ("code_version", "window", "tables")}


def _provenance(config: Config, dataset: Dataset) -> dict[str, Any]:
    return {"config": config.resolved(), "windows": dataset.windows.model_dump(mode="json"),
            "vocabularies": dataset.digests, "dataset_digest": json_digest(dataset.info)}
