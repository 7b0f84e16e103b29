"""Stage II, one arm: train, evaluate on validation and test, write the ranker artifact."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pyarrow as pa

from tfrs_pretrain.artifact_names import DATASET_INFO, MANIFEST, RANKER_KIND
from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.config import ArmConfig, Config
from tfrs_pretrain.config.backbones import BACKBONE_KINDS
from tfrs_pretrain.config.packaged import own_code_records
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset
from tfrs_pretrain.data.impressions import checked_reading
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.embeddings.worker_shards import answered_reads
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.finished_outputs import RUN_DIGEST, finished_output, run_digest
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.machine import machine
from tfrs_pretrain.output_folders import remove_folder
from tfrs_pretrain.own_code import BACKBONES, refuse_taken_names
from tfrs_pretrain.progress import print_warning, progress
from tfrs_pretrain.ranking.arm_memory_plan import ArmPlan
from tfrs_pretrain.ranking.benefit.facts import TransferFacts
from tfrs_pretrain.ranking.benefit.scratch_ranker import open_scratch_ranker
from tfrs_pretrain.ranking.benefit.verdict import compare_with_scratch
from tfrs_pretrain.ranking.build import build_parts, steps_per_epoch
from tfrs_pretrain.ranking.distillation.teachers import teacher_digest
from tfrs_pretrain.ranking.learning.best_checkpoint import best_folder, make_best_checkpoint
from tfrs_pretrain.ranking.learning.learner import Learner
from tfrs_pretrain.ranking.model.artifact import save_ranker
from tfrs_pretrain.ranking.network_check import check_own_networks
from tfrs_pretrain.ranking.predict import predict
from tfrs_pretrain.ranking.split_metrics import split_metrics
from tfrs_pretrain.ranking.trained_arm import TrainedArm
from tfrs_pretrain.ranking.training_task import ArmTrainingTask
from tfrs_pretrain.ranking.transfer.coverage import coverage, print_coverage
from tfrs_pretrain.ranking.transfer.earlier_ranker import EarlierRanker
from tfrs_pretrain.ranking.transfer.pretrained_rows import print_cold_fits
from tfrs_pretrain.ranking.transfer.refreshed_rows import Refresh
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW
from tfrs_pretrain.stages import peak_rss_bytes
from tfrs_pretrain.training.checkpoint import Checkpoints, checkpoint_folder, without_replicas
from tfrs_pretrain.training.devices import local_devices
from tfrs_pretrain.training.memory_check import show_plan
from tfrs_pretrain.training.strategy import (
    build_strategy,
    is_chief,
    report_lost_workers,
    set_seeds,
    total_over_workers,
)
from tfrs_pretrain.training.table_placement import make_placements, place_tables
from tfrs_pretrain.training.trainer import Trainer
from tfrs_pretrain.training.training_progress import TrainingProgress

TRAIN, VALIDATION, TEST = IMPRESSION_SPLITS


def train_arm(config: Config, dataset: Dataset, arm: str, output: Path, *, embeddings: Path | None,
              scratch: Path | None = None, overwrite: bool = False, test: bool = True, start_from: Path | None = None,
              start_from_dataset: Path | None = None, refreshed_from: Path | None = None) -> TrainedArm:
    """Train and evaluate one arm of ``ranking.arms`` and write its artifact.

    All arms of a configuration see the same batches in the same order and have the same initial values, except where
    they differ by design. Validation is scored after every epoch, test once at the end. Checkpoints and workers are as
    in ``pretrain``: the same call after a kill continues and, on one device with ``training.deterministic``, results in
    the same bits; if an identical run has finished the output, it returns its result.

    Args:
      config: the run's configuration.
      dataset: impressions and vocabularies.
      arm: name in ``config.ranking.arms``.
      output: folder of the artifact.
      embeddings: folder of the pretrained rows; ignored by an arm that transfers no table.
      scratch: ranker from scratch to compare with on validation; ignored likewise. None: no comparison.
      overwrite: replace an existing folder.
      test: score the test impressions; pass False while settings are being chosen. If false, no file of the test
        split is read.
      start_from: folder of an earlier ranker, such as last week's, see ``EarlierRanker``.
      start_from_dataset: folder of the dataset that it was trained on; required if its vocabularies are others.
      refreshed_from: embeddings that the earlier ranker started from, of which ``embeddings`` are a continuation, see
        ``Refresh``. None: rows of the earlier ranker stay as they are.

    Returns:
      what the artifact's manifest records.

    Raises:
      UserError: the output of another run exists, another process trains into it, checkpoints of another run are beside
        it, the arm is unknown, its embeddings are missing or do not fit, the batch does not fit the data or the
        devices, the data is damaged, ``scratch`` cannot be compared with, or a loss is not finite.
      SystemExit: SIGTERM was received (code 143) and a checkpoint was written.
    """
    settings = _settings(config, arm)
    pretrained = _open_embeddings(settings, arm, embeddings)
    baseline = open_scratch_ranker(scratch, dataset) if scratch and pretrained else None
    set_seeds(config.seed, deterministic=config.training.deterministic)
    strategy = build_strategy(config.training)
    earlier = _open_earlier(settings, dataset, start_from, start_from_dataset, Refresh.open(refreshed_from, pretrained))
    identity = run_identity(config, dataset, arm, pretrained, strategy.num_replicas_in_sync, earlier)
    checkpoints = Checkpoints(checkpoint_folder(output), without_replicas(identity),
                              keep=config.training.keep_checkpoints, writes=is_chief(strategy))
    digest = run_digest(config=config.resolved(), test=test, **identity)
    if finished := finished_output(output, RANKER_KIND, digest, overwrite=overwrite):
        if checkpoints.remove_own():
            remove_folder(best_folder(output))
        kept = TrainedArm.from_manifest(finished)
        predictions = Predictions.open(output, "validation") if baseline else None
        return _compared(kept, dataset, settings, predictions, baseline) if baseline and predictions else kept
    steps = steps_per_epoch(config, dataset, strategy.num_replicas_in_sync)
    refuse_taken_names(BACKBONES, BACKBONE_KINDS)
    check_own_networks(config.ranking, dataset, settings)
    plan, devices = ArmPlan(config, dataset, arm), local_devices(config.training)
    place_tables(plan, config.training, devices)
    show_plan(plan, devices, lambda name: dataset.vocabulary(name).counts)
    splits = IMPRESSION_SPLITS if test else (TRAIN, VALIDATION)
    with checkpoints.exclusive(), checked_reading(dataset, *splits), report_lost_workers(strategy):
        coverages = {split.rpartition("/")[2]: coverage(dataset, split, pretrained) for split in splits
                     if pretrained}
        if is_chief(strategy) and coverages:
            print_coverage(coverages, settings.pretrained_tables)
        with strategy.scope():
            parts = build_parts(config, dataset, settings, pretrained, steps=steps, earlier=earlier,
                                placements=make_placements(plan, strategy))
            if is_chief(strategy):
                print_cold_fits(parts.starts)
            best_checkpoint = make_best_checkpoint(best_folder(output), parts.student.ranker,
                                                   settings.early_stopping, writes=is_chief(strategy))
        task = ArmTrainingTask(config, dataset, arm, parts, best_checkpoint)
        trained = Trainer(config.training, strategy, task, checkpoints).run()
        student = task.best()
        total_over_workers(strategy, 0)  # barrier: every worker has read the best epoch before it is removed
        scored = {"validation": task.validation or _score(student, dataset, arm, VALIDATION)}
        if test:
            scored["test"] = _score(student, dataset, arm, TEST)
        evaluated = {split: split_metrics(table, dataset) for split, table in scored.items()}
    best_epoch = best_checkpoint.best_epoch if best_checkpoint else trained.epochs[-1]["epoch"]
    result = TrainedArm(
        arm=arm, transfer=_transfer(settings), embeddings=_summary(pretrained), coverage=coverages,
        cold_fits={space: start.cold_fit.to_json() for space, start in parts.starts.items() if start.cold_fit},
        best_epoch=best_epoch, replicas=strategy.num_replicas_in_sync, **_training_record(trained),
        metrics={split: found.metrics for split, found in evaluated.items()},
        slices={split: found.slices for split, found in evaluated.items()}, **_provenance(config, dataset))
    if is_chief(strategy) and baseline:
        result = _compared(result, dataset, settings, Predictions(
            {**baseline.source, "path": str(output), "arm": arm}, scored["validation"]).checked(), baseline)
    record = result.to_json() | {RUN_DIGEST: digest} | _own_code(config, arm)
    with report_lost_workers(strategy), answered_reads(student.ranker.weights):
        if is_chief(strategy):
            save_ranker(output, student.ranker, scored, record, overwrite=overwrite)
            checkpoints.remove()
            if best_checkpoint:
                best_checkpoint.remove()
    return result


def run_identity(config: Config, dataset: Dataset, arm: str, embeddings: Embeddings | None,
                 replicas: int, earlier: EarlierRanker | None = None) -> dict[str, Any]:
    """Return as JSON everything that determines the trained ranker.

    A run continues only its own checkpoints, also those written on another number of replicas.
    """
    ranking = config.ranking.model_dump(mode="json")
    started = {"start_from_digest": file_digest(earlier.folder / MANIFEST)} if earlier else {}
    if earlier and earlier.refresh:
        started["refreshed_from_digest"] = file_digest(earlier.refresh.earlier.folder / MANIFEST)
    return started | _own_code(config, arm) | {
        "dataset_info_digest": file_digest(dataset.folder / DATASET_INFO), "seed": config.seed, "arm": arm,
        "embeddings_manifest_digest": file_digest(embeddings.folder / MANIFEST) if embeddings else None,
        "ranking": {**ranking, "arms": {arm: ranking["arms"][arm]}},
        "teacher_digest": teacher_digest(config.ranking.arms[arm].distillation),
        "deterministic": config.training.deterministic, "replicas": replicas}


def _own_code(config: Config, arm: str) -> dict[str, Any]:
    ranking = config.ranking
    return own_code_records(None if ranking.network else ranking.backbone, ranking.arms[arm])


def _settings(config: Config, arm: str) -> ArmConfig:
    if arm not in config.ranking.arms:
        raise UserError(f"arm {arm!r} is not in ranking.arms: name one of {sorted(config.ranking.arms)}")
    return config.ranking.arms[arm]


def _open_embeddings(settings: ArmConfig, arm: str, folder: Path | None) -> Embeddings | None:
    if not settings.pretrained_tables:
        return None
    if folder is None:
        names = {table.kind for table in settings.pretrained_tables.values()}
        raise UserError(f"arm {arm!r} has transfer {' and '.join(map(repr, sorted(names)))} but no embeddings were "
                        "given: run `tfrs-pretrain pretrain` first and name its output")
    return Embeddings.open(folder)


def _open_earlier(settings: ArmConfig, dataset: Dataset, folder: Path | None, earlier_dataset: Path | None,
                  refresh: Refresh | None) -> EarlierRanker | None:
    if folder is None:
        if earlier_dataset:
            raise UserError("--start-from-dataset names the dataset of the ranker in --start-from, which is missing")
        return None
    earlier = EarlierRanker.open(folder, Dataset.open(earlier_dataset) if earlier_dataset else dataset, refresh)
    earlier.check(settings)
    return earlier


def _compared(trained: TrainedArm, dataset: Dataset, settings: ArmConfig, predictions: Predictions,
              scratch: Predictions) -> TrainedArm:
    """Add the comparison with a ranker from scratch, and print a line if pretraining does not pay."""
    facts = TransferFacts.from_records(dataset.info, trained.coverage, trained.cold_fits,
                                       list(settings.pretrained_tables))
    benefit = compare_with_scratch(predictions, scratch, facts)
    if benefit.line:
        print_warning(benefit.line)
    return dataclasses.replace(trained, against_scratch=benefit.to_json())


def _transfer(settings: ArmConfig) -> str | dict[str, str]:
    """Return the kind of transfer, one word if both ID tables have the same, otherwise ID space -> kind."""
    words: dict[str, str] = {space: settings.table_transfer(space).kind for space in (USER_ROW, ITEM_ROW)}
    return words[USER_ROW] if len(set(words.values())) == 1 else words


def _score(student: Learner, dataset: Dataset, arm: str, split: str) -> pa.Table:
    title = f"{arm}: score {split.rpartition('/')[2]}"
    with progress(title, total=dataset.num_examples(split), unit="impressions") as meter:
        return predict(student.ranker, dataset, split, meter=meter)


def _summary(embeddings: Embeddings | None) -> dict[str, Any] | None:
    if embeddings is None:
        return None
    return {key: embeddings.manifest[key] for key in ("code_version", "window", "tables")}


def _training_record(trained: TrainingProgress) -> dict[str, Any]:
    """Return the fields of ``TrainedArm`` about the course of the training."""
    epochs = trained.epochs
    return {"epochs": epochs, "curve": trained.curve, "seconds": trained.seconds,
            "examples_per_second": sum(e["examples"] for e in epochs) / sum(e["seconds"] for e in epochs),
            "machine": machine(), "peak_rss_bytes": peak_rss_bytes()}


def _provenance(config: Config, dataset: Dataset) -> dict[str, Any]:
    """Return the fields of ``TrainedArm`` about configuration and dataset."""
    return {"config": config.resolved(), "windows": dataset.windows.model_dump(mode="json"),
            "vocabularies": dataset.digests, "dataset_digest": json_digest(dataset.info)}
