"""Find the ranker from scratch that a ranker with pretrained rows is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import MANIFEST, PREDICTIONS_FOLDER, RANKER_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.json_documents import json_digest

VALIDATION = "validation"


def find_scratch_ranker(output: Path, dataset: Dataset, config: Config) -> Path | None:
    """Return the ranker from scratch, of the same dataset and settings, in a folder beside ``output``.

    Of several, it is the one with the lowest validation log loss. Only ``ranking.arms`` and ``seed`` may differ.
    """
    settings = _shared_settings(config.resolved())
    losses = {folder: manifest["metrics"][VALIDATION]["log_loss"] for folder, manifest in _rankers_beside(output)
              if is_from_scratch(manifest) and manifest["dataset_digest"] == json_digest(dataset.info)
              and _shared_settings(manifest["config"]) == settings}
    return min(losses, key=losses.__getitem__, default=None)


def open_scratch_ranker(folder: Path, dataset: Dataset) -> Predictions:
    """Open the validation predictions of a ranker to compare with.

    Raises:
      UserError: the folder is not a ranker from scratch of this dataset, or its predictions are damaged.
    """
    manifest = read_manifest(folder, RANKER_KIND)
    if not is_from_scratch(manifest):
        raise UserError(f"baseline {str(folder)!r} is arm {manifest['arm']!r}, which does not train from scratch "
                        "alone: name the output of an arm with transfer scratch and without distillation")
    if manifest["dataset_digest"] != json_digest(dataset.info):
        raise UserError(f"baseline {str(folder)!r} was trained on another dataset than {str(dataset.folder)!r}: train "
                        "it on this one, or name another ranker")
    return Predictions.open(folder, VALIDATION)


def is_from_scratch(manifest: Mapping[str, Any]) -> bool:
    """Return whether a ranker's manifest says that it had neither pretrained rows nor a teacher."""
    settings = manifest["config"]["ranking"]["arms"][manifest["arm"]]
    return manifest["transfer"] == "scratch" and not settings.get("distillation")


def _rankers_beside(output: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the readable rankers with validation predictions; a damaged one is no reason to stop."""
    parent = output.absolute().parent
    for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
        predictions = folder / PREDICTIONS_FOLDER / f"{VALIDATION}.parquet"
        if folder.name == output.name or not predictions.is_file() or not (folder / MANIFEST).is_file():
            continue
        try:
            yield folder, read_manifest(folder, RANKER_KIND)
        except UserError:
            continue


def _shared_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config["ranking"].items() if name != "arms"}
