"""Open a fixed teacher from a path and validate that its student will not learn from the evaluation window."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tfrs_pretrain.artifact_names import EXTRA_ASSETS, MANIFEST, NETWORK_FILE, SAVED_MODEL_FILE
from tfrs_pretrain.artifacts import file_digest
from tfrs_pretrain.config import DistillationConfig, FixedTeacherConfig, Windows
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.distillation.fixed_teacher import FixedTeacher
from tfrs_pretrain.ranking.distillation.model_teachers import ServedTeacher, TrainedTeacher
from tfrs_pretrain.ranking.distillation.stored_logits import StoredLogits

_IDENTIFYING = ("fingerprint.pb", MANIFEST, SAVED_MODEL_FILE)  # files that differ between models


def open_teacher(path: Path, dataset: Dataset, labels: Sequence[str]) -> FixedTeacher:
    """Open a teacher.

    Args:
      path: a Parquet file of logits, the folder of a SavedModel, or the folder of a ranker artifact.
      dataset: provides the training impressions that the teacher must have logits for.
      labels: heads that need a logit, the main one first.

    Raises:
      UserError: the path has no teacher, it cannot be read, it does not fit the impressions or the heads, or its
        training window overlaps the time on which its student is evaluated.
    """
    if path.is_file():
        return StoredLogits(path, dataset, labels)
    _check_window(path, dataset)
    if (path / SAVED_MODEL_FILE).is_file():
        return ServedTeacher(path, dataset, labels)
    if (path / NETWORK_FILE).is_file():
        return TrainedTeacher(path, dataset, labels)
    raise UserError(f"distillation.teacher.path {str(path)!r} is no teacher: expected a Parquet file of logits, the "
                    "folder of a SavedModel (with saved_model.pb) or that of a trained ranker (with network.keras)")


def teacher_digest(config: DistillationConfig | None) -> str | None:
    """Return a digest that identifies the run's fixed teacher; None without one."""
    if config is None or not isinstance(config.teacher, FixedTeacherConfig):
        return None
    path = Path(config.teacher.path)
    files = [file for file in (path, *(path / name for name in _IDENTIFYING)) if file.is_file()]
    return file_digest(files[0]) if files else None


def _check_window(folder: Path, dataset: Dataset) -> None:
    """Check the training window of a model written by this project, which its manifest records."""
    manifests = [path for path in (folder / MANIFEST, folder / EXTRA_ASSETS / MANIFEST) if path.is_file()]
    if not manifests:
        return
    try:
        trained = Windows.model_validate(json.loads(manifests[0].read_text())["windows"]).train
    except (ValueError, KeyError) as error:
        raise UserError(f"teacher {str(folder)!r}: its manifest cannot be read ({' '.join(str(error).split())[:200]}): "
                        "copy it again") from error
    validation = dataset.windows.validation
    if trained.temporal != validation.temporal or trained.bounds[1] > validation.bounds[0]:
        raise UserError(f"teacher {str(folder)!r} was trained on window {trained}, which must end before the "
                        f"validation window {validation} starts: its student would learn from the evaluation window")
