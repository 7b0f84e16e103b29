"""The demo: runs every stage from raw logs to a served ranking model and a report.

Each stage reads only the artifacts of earlier stages, so each can also run alone (``tfrs-pretrain --help``).
"""

from __future__ import annotations

import functools
import shlex
from pathlib import Path
from typing import Any

from beam_pipelines import build_dataset
from tfrs_pretrain.artifact_names import (
    DATASET_INFO,
    DATASET_KIND,
    EMBEDDINGS_KIND,
    EXPORT_KIND,
    LOGS_KIND,
    RANKER_KIND,
)
from tfrs_pretrain.artifacts import check_artifact, has_manifest, read_manifest
from tfrs_pretrain.config import ArmConfig, Config, first_difference
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.demo import completejourney
from tfrs_pretrain.demo.config import SECTION, CompleteJourneyConfig
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.reporting.study_report import write_study
from tfrs_pretrain.serving.exporting.recorded_export import export_and_record, recorded_version
from tfrs_pretrain.stages import DATASET, EMBEDDINGS, EXPORT, LOGS, RANKING, Workdir
from tfrs_pretrain.study import Run, StudiedArm, Study


def run_demo(workdir: Workdir, logs: CompleteJourneyConfig, models: Path) -> dict[str, Any]:
    """Runs the unfinished stages of a workdir and returns the results.

    Args:
      workdir: folder of the run; its configuration must have the columns of the completejourney logs.
      logs: settings of the logs.
      models: folder of model folders that receives the exported version.

    Raises:
      UserError: a stage refuses its input, or the logs were made with other settings.
    """
    config, folder = workdir.config, workdir.folder
    _check_logs(folder, logs)
    workdir.stage("logs", LOGS, LOGS_KIND, lambda output: completejourney.write_logs(
        logs, pretrain_end_week=config.windows.pretrain.bounds[1], seed=config.seed, output=output,
        overwrite=True))
    workdir.stage("dataset", DATASET, DATASET_KIND, functools.partial(_build_dataset, config, folder / LOGS),
                  manifest=DATASET_INFO)
    dataset = Dataset.open(folder / DATASET)
    workdir.stage("pretrain", EMBEDDINGS, EMBEDDINGS_KIND, lambda output: pretrain(
        config, dataset, output, overwrite=True))
    for arm in config.ranking.arms:
        workdir.stage(f"rank.{arm}", f"{RANKING}/{arm}", RANKER_KIND, functools.partial(
            _train_ranker, config, dataset, folder / EMBEDDINGS, arm))
    if not recorded_version(folder / EXPORT, models):
        workdir.forget("export")
    workdir.stage("export", EXPORT, EXPORT_KIND, lambda output: export_and_record(
        config, dataset, folder / RANKING / config.export.arm, output, models))
    study = study_of(workdir)
    study.save()
    return write_study(study)


def study_of(workdir: Workdir) -> Study:
    """Returns a finished run as a study: one seed, the arms of ``ranking.arms``, the first scratch arm as baseline.

    Raises:
      UserError: a stage of the run has not finished.
    """
    config, folder = workdir.config, workdir.folder
    arms = [StudiedArm(name, _changed_settings(arm), [Run(
        config.seed, folder / RANKING / name, folder / EMBEDDINGS if arm.pretrained_tables else None,
        folder / DATASET)]) for name, arm in config.ranking.arms.items()]
    plain = [name for name, arm in config.ranking.arms.items() if not arm.pretrained_tables and not arm.distillation]
    seconds = {"data": workdir.seconds("logs", "dataset"), "stage_one": workdir.seconds("pretrain"),
               "stage_two": workdir.seconds(*(f"rank.{name}" for name in config.ranking.arms)),
               "export": workdir.seconds("export")}
    logs = read_manifest(folder / LOGS, LOGS_KIND)
    return Study(
        folder=folder, title="Contrastive ID pretraining, then ranking", config=config,
        baseline=(plain or list(config.ranking.arms))[0], arms=arms, seconds=seconds,
        peak_rss_bytes=max(int(cost["peak_rss_bytes"]) for cost in workdir.costs.values()),
        commands=commands(folder, config, CompleteJourneyConfig.model_validate(logs[SECTION])), logs=logs,
        exported=read_manifest(folder / EXPORT, EXPORT_KIND))


def _changed_settings(arm: ArmConfig) -> dict[str, Any]:
    """Returns dotted key -> value of all non-default settings; a kind without settings is a plain string."""
    changed = arm.model_dump(mode="json", exclude_defaults=True)
    return {f"arm.{key}": value["kind"] if isinstance(value, dict) and value.keys() == {"kind"} else value
            for key, value in changed.items()}


def commands(workdir: Path, config: Config, logs: CompleteJourneyConfig) -> list[str]:
    """Returns shell lines that repeat the run, or one stage on the folders of this run."""
    changed = "".join(f" --set {SECTION}.{key}={value}"
                      for key, value in logs.model_dump(exclude_defaults=True).items())
    exported, folder = shlex.quote(config.export.arm), shlex.quote(str(workdir))
    return [
        "# all stages, in a new folder",
        f"tfrs-pretrain demo --config {folder}/config.yaml{changed} --workdir NEW",
        "",
        "# one stage alone, on the folders of this run",
        f"tfrs-pretrain dataset --config {folder}/config.yaml --raw {folder}/logs --output NEW/dataset",
        f"tfrs-pretrain pretrain --dataset {folder}/dataset --output NEW/embeddings",
        *(f"tfrs-pretrain train-ranker --dataset {folder}/dataset --embeddings {folder}/embeddings "
          f"--arm {shlex.quote(arm)} --output NEW/ranking/{shlex.quote(arm)}" for arm in config.ranking.arms),
        f"tfrs-pretrain export --dataset {folder}/dataset --ranker {folder}/ranking/{exported}",
        f"tfrs-pretrain report {folder}",
    ]


def _check_logs(folder: Path, settings: CompleteJourneyConfig) -> None:
    if not has_manifest(folder / LOGS):
        return
    stored = read_manifest(folder / LOGS, LOGS_KIND)[SECTION]
    if difference := first_difference(stored, settings.model_dump(mode="json"), SECTION):
        raise UserError(f"workdir {str(folder)!r} contains a run with other settings of the logs, first in "
                        f"{difference}: name another --workdir, or remove this one")


def _build_dataset(config: Config, logs: Path, output: Path) -> None:
    check_artifact(logs, LOGS_KIND)
    build_dataset.build(config, logs, output, pipeline_args=[], overwrite=True)


def _train_ranker(config: Config, dataset: Dataset, embeddings: Path, arm: str, output: Path) -> None:
    train_arm(config, dataset, arm, output, embeddings=embeddings, overwrite=True)
