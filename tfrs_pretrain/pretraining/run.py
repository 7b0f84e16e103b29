"""Stage I, from a dataset to an embeddings artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrs_pretrain.artifact_names import DATASET_INFO, EMBEDDINGS_KIND, MANIFEST
from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.config import Config, PretrainingConfig, Window
from tfrs_pretrain.config.packaged import own_code_records
from tfrs_pretrain.data.dataset import Dataset, pair_columns
from tfrs_pretrain.data.joins import PRETRAINING_JOINS
from tfrs_pretrain.data.pairs import report_corrupt_files
from tfrs_pretrain.data.pretraining_reach import PretrainingReach, low_coverage_warnings
from tfrs_pretrain.embeddings.artifact import Embeddings, save_embeddings
from tfrs_pretrain.embeddings.worker_shards import answered_reads
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.finished_outputs import RUN_DIGEST, finished_output, run_digest
from tfrs_pretrain.machine import machine
from tfrs_pretrain.pretraining.build import build_model
from tfrs_pretrain.pretraining.memory_plan import PretrainingMemoryPlan
from tfrs_pretrain.pretraining.num_epochs import num_epochs
from tfrs_pretrain.pretraining.result import PretrainResult
from tfrs_pretrain.pretraining.training_task import TwoTowerTrainingTask
from tfrs_pretrain.progress import print_warning
from tfrs_pretrain.stages import peak_rss_bytes
from tfrs_pretrain.training.checkpoint import Checkpoints, checkpoint_folder, without_replicas
from tfrs_pretrain.training.devices import local_devices
from tfrs_pretrain.training.memory_check import show_plan
from tfrs_pretrain.training.strategy import build_strategy, is_chief, report_lost_workers, set_seeds
from tfrs_pretrain.training.table_placement import make_placements, place_tables
from tfrs_pretrain.training.trainer import Trainer


def pretrain(config: Config, dataset: Dataset, output: Path, *, start_from: Path | None = None,
             overwrite: bool = False) -> PretrainResult:
    """Train the user and item tables for all epochs and write them as an embeddings artifact.

    During training, checkpoints are stored next to the output. After a kill, the same call resumes from the newest one;
    on one device with ``training.deterministic`` the result is bit-identical to that of an uninterrupted run. If an
    identical run has finished the output, the call returns its result without training. With
    ``training.strategy`` "multi_worker", every worker makes this call, with folders that all share; the first one
    writes.

    Args:
      config: ``pretraining``, ``training`` and ``seed`` determine the run; schema and windows are the dataset's.
      dataset: a finished dataset.
      output: the artifact's folder.
      start_from: folder of an earlier artifact, such as last week's; the ids that it contains start from its rows.
      overwrite: replace an existing folder.

    Raises:
      UserError: the output of another run exists, another process is training into it, there are checkpoints of another
        run, a batch is larger than the dataset or cannot be split among the devices, the tables do not fit on the
        devices, the rows to start from are incompatible or were trained on the ranking window, a shard is damaged, or
        the loss is not finite.
      SystemExit: SIGTERM was received (exit code 143); a checkpoint was written.
    """
    earlier = Embeddings.open(start_from) if start_from else None
    if earlier:
        earlier.check_window(dataset)
    set_seeds(config.seed, deterministic=config.training.deterministic)
    strategy = build_strategy(config.training)
    identity = run_identity(config, dataset, strategy.num_replicas_in_sync, earlier)
    checkpoints = Checkpoints(checkpoint_folder(output), without_replicas(identity),
                              keep=config.training.keep_checkpoints, writes=is_chief(strategy))
    digest = run_digest(config=config.resolved(), **identity)
    if finished := finished_output(output, EMBEDDINGS_KIND, digest, overwrite=overwrite):
        checkpoints.remove_own()
        return PretrainResult.from_manifest(finished)
    steps = _steps_per_epoch(config.pretraining, dataset)
    _check_replicas(config.pretraining, strategy)
    plan, devices = PretrainingMemoryPlan(config, dataset), local_devices(config.training)
    place_tables(plan, config.training, devices)
    show_plan(plan, devices, lambda name: dataset.vocabulary(name).counts)
    if is_chief(strategy):
        _warn_of_low_coverage(dataset)
    epochs = num_epochs(config.pretraining, dataset, start_from=earlier is not None)
    with strategy.scope():
        model = build_model(config, dataset, epochs * steps, earlier, placements=make_placements(plan, strategy))
    files = [*dataset.files("pairs/train"), *dataset.files("pairs/heldout")]
    with checkpoints.exclusive(), report_corrupt_files(files, pair_columns(dataset.schema)):
        task = TwoTowerTrainingTask(config, dataset, model, epochs, steps)
        trained = Trainer(config.training, strategy, task, checkpoints).run()
    vocabularies = {name: dataset.vocabulary(name) for name in dataset.schema.id_spaces}
    result = PretrainResult(
        config=config.resolved(), dataset_info_digest=identity["dataset_info_digest"], epochs=trained.epochs,
        kept_epoch=epochs, machine=machine(), peak_rss_bytes=peak_rss_bytes(),
        popularity_prior=config.pretraining.objective.popularity_prior, replicas=strategy.num_replicas_in_sync,
        seconds=trained.seconds, seed=config.seed, steps_per_epoch=steps, temperature=float(model.temperature),
        vocabulary_digests={name: vocabulary.digest for name, vocabulary in vocabularies.items()},
        window=_training_window(dataset, earlier).model_dump(mode="json"))
    tables = {table.name: table.placed_variables[0] for table in (model.users, model.items)}
    with report_lost_workers(strategy), answered_reads([*tables.values()]):
        if is_chief(strategy):
            trained_rows = {name: earlier.rows_after(name, vocabulary)
                            for name, vocabulary in vocabularies.items()} if earlier else None
            record = result.to_json() | {RUN_DIGEST: digest} | own_code_records(config.pretraining)
            save_embeddings(output, tables, vocabularies, record, overwrite=overwrite, trained=trained_rows)
            checkpoints.remove()
    return result


def run_identity(config: Config, dataset: Dataset, replicas: int, earlier: Embeddings | None = None) -> dict[str, Any]:
    """All that determines the trained rows, as JSON.

    Checkpoints of a run with another identity are refused, except on another number of replicas.
    """
    started = {"start_from_digest": file_digest(earlier.folder / MANIFEST)} if earlier else {}
    return started | own_code_records(config.pretraining) | {
        "dataset_info_digest": file_digest(dataset.folder / DATASET_INFO), "seed": config.seed,
        "pretraining": config.pretraining.model_dump(mode="json"), "deterministic": config.training.deterministic,
        "replicas": replicas}


def _training_window(dataset: Dataset, earlier: Embeddings | None) -> Window:
    """The window from the first to the last time of all data that the rows were trained on."""
    windows = [dataset.windows.pretrain, *([earlier.window] if earlier else [])]
    first = min(windows, key=lambda window: window.bounds[0])
    last = max(windows, key=lambda window: window.bounds[1])
    return Window(start=first.start, end=last.end)


def _warn_of_low_coverage(dataset: Dataset) -> None:
    reach = PretrainingReach.from_info(dataset.info)
    if reach and "train" in reach.coverage:
        shares = {join.space: reach.coverage["train"][join.name] for join in PRETRAINING_JOINS}
        for line in low_coverage_warnings(shares):
            print_warning(line)


def _steps_per_epoch(settings: PretrainingConfig, dataset: Dataset) -> int:
    pairs = dataset.num_examples("pairs/train")
    if pairs < settings.batch_size:
        raise UserError(f"pretraining.batch_size is {settings.batch_size}, but dataset {str(dataset.folder)!r} has "
                        f"only {pairs} training pairs: lower it to {pairs} or less")
    return pairs // settings.batch_size


def _check_replicas(settings: PretrainingConfig, strategy: tf.distribute.Strategy) -> None:
    if settings.batch_size % strategy.num_replicas_in_sync:
        raise UserError(f"pretraining.batch_size {settings.batch_size} must be a multiple of the "
                        f"{strategy.num_replicas_in_sync} devices: change it or training.strategy")
