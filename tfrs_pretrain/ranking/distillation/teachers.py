"""Open a fixed teacher from a path and validate that its student will not learn from the evaluation window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfrs_pretrain.artifact_names import (
    EXTRA_ASSETS,
    MANIFEST,
    NETWORK_FILE,
    PREDICTIONS_FOLDER,
    RANKER_KIND,
    SAVED_MODEL_FILE,
)
from tfrs_pretrain.artifacts import artifact_file, check_saved_model, file_digest, has_manifest
from tfrs_pretrain.config import DistillationConfig, FixedTeacherConfig, Windows
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import parse_document
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
        _check_predictions(path)
        return StoredLogits(path, dataset, labels)
    _check_window(path, dataset)
    if (path / SAVED_MODEL_FILE).is_file():
        check_saved_model(path)
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


def _check_predictions(path: Path) -> None:
    """Compare a file of logits with the manifest of the ranker that it belongs to, if it is one's predictions."""
    ranker = path.absolute().parent.parent
    if path.absolute().parent.name == PREDICTIONS_FOLDER and has_manifest(ranker):
        artifact_file(ranker, RANKER_KIND, f"{PREDICTIONS_FOLDER}/{path.name}")


def _check_window(folder: Path, dataset: Dataset) -> None:
    """Check the training window of a model written by this project, which its manifest records."""
    manifests = [path for path in (folder / MANIFEST, folder / EXTRA_ASSETS / MANIFEST) if path.is_file()]
    if not manifests:
        return
    try:
        trained = Windows.model_validate(parse_document(manifests[0].read_bytes(), manifests[0])["windows"]).train
    except (ValueError, KeyError) as error:
        raise UserError(f"teacher {str(folder)!r}: its manifest cannot be read ({' '.join(str(error).split())[:200]}): "
                        "copy it again") from error
    validation = dataset.windows.validation
    if trained.temporal != validation.temporal or trained.bounds[1] > validation.bounds[0]:
        raise UserError(f"teacher {str(folder)!r} was trained on window {trained}, which must end before the "
                        f"validation window {validation} starts: its student would learn from the evaluation window")
