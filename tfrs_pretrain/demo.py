"""The main job: raw logs to a servable ranking model and a report, stage by stage.

Each stage reads only the artifacts of the stages before it, so each can also run alone (``tfrs-pretrain --help``).
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from beam_pipelines import build_dataset
from tfrs_pretrain.artifacts import DATASET_INFO, MANIFEST, staged_folder, write_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.data import completejourney
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.results import write_results
from tfrs_pretrain.serving.export import export
from tfrs_pretrain.stages import DATASET, EMBEDDINGS, EXPORT, LOGS, RANKING, Workdir


def run_demo(workdir: Workdir, models: Path) -> dict[str, Any]:
    """Runs what is not finished yet in a workdir and returns the results.

    Args:
      workdir: folder of the run; the columns of its configuration must be those of the completejourney logs.
      models: folder of model folders, where the exported version goes.

    Raises:
      UserError: a stage refuses its input.
    """
    config, folder = workdir.config, workdir.folder
    workdir.stage("logs", LOGS, "logs", lambda output: completejourney.write_logs(
        config.completejourney, pretrain_end_week=config.windows.pretrain.bounds[1], seed=config.seed, output=output,
        overwrite=True))
    workdir.stage("dataset", DATASET, "dataset", lambda output: build_dataset.build(
        config, folder / LOGS, output, pipeline_args=[], overwrite=True), manifest=DATASET_INFO)
    dataset = Dataset.open(folder / DATASET)
    workdir.stage("pretrain", EMBEDDINGS, "embeddings", lambda output: pretrain(
        config, dataset, output, overwrite=True))
    for arm in config.ranking.arms:
        workdir.stage(f"rank.{arm}", f"{RANKING}/{arm}", "ranker", functools.partial(
            _rank, config, dataset, folder / EMBEDDINGS, arm))
    if not _was_exported(folder, models):
        workdir.forget("export")
    workdir.stage("export", EXPORT, "export", lambda output: _export(
        config, dataset, folder / RANKING / config.export.arm, output, models))
    return write_results(workdir)


def _rank(config: Config, dataset: Dataset, embeddings: Path, arm: str, output: Path) -> None:
    train_arm(config, dataset, arm, output, embeddings=embeddings, overwrite=True)


def _export(config: Config, dataset: Dataset, ranker: Path, output: Path, models: Path) -> None:
    """Exports a version and notes in the workdir which one it was."""
    manifest = export(config, dataset, ranker, models)
    with staged_folder(output, overwrite=True) as folder:
        write_manifest(folder, "export", {key: value for key, value in manifest.items() if key != "kind"})


def _was_exported(folder: Path, models: Path) -> bool:
    """Whether the version that this run exported still lies under ``models``."""
    path = folder / EXPORT / MANIFEST
    if not path.is_file():
        return False
    version = Path(json.loads(path.read_text())["path"])
    return version.is_dir() and version.parent.parent.resolve() == models.resolve()
