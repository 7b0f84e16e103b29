"""Which fixed teacher lies at a path, and whether it may teach."""

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

_TELLING = ("fingerprint.pb", MANIFEST, SAVED_MODEL_FILE)  # files that differ between models


def open_teacher(path: Path, dataset: Dataset, labels: Sequence[str]) -> FixedTeacher:
    """The teacher at a path: a Parquet file, a SavedModel's folder or a ranker artifact's folder.

    Args:
      path: where it lies.
      dataset: whose training impressions it will be asked about.
      labels: the heads that it must have a logit for, the main one first.

    Raises:
      UserError: it is none of these, cannot be read, does not fit the impressions or the heads, or says that it learnt
        from the time in which its student will be judged.
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
    """Digest of what tells the fixed teacher of a run from others; None where there is none."""
    if config is None or not isinstance(config.teacher, FixedTeacherConfig):
        return None
    path = Path(config.teacher.path)
    found = [file for file in (path, *(path / name for name in _TELLING)) if file.is_file()]
    return file_digest(found[0]) if found else None


def _check_window(folder: Path, dataset: Dataset) -> None:
    """Where this project wrote the model, its manifest says which time it learnt from."""
    manifests = [path for path in (folder / MANIFEST, folder / EXTRA_ASSETS / MANIFEST) if path.is_file()]
    if not manifests:
        return
    try:
        learnt = Windows.model_validate(json.loads(manifests[0].read_text())["windows"]).train
    except (ValueError, KeyError) as error:
        raise UserError(f"teacher {str(folder)!r}: its manifest cannot be read ({' '.join(str(error).split())[:200]}): "
                        "copy it again") from error
    judged = dataset.windows.validation
    if learnt.temporal != judged.temporal or learnt.bounds[1] > judged.bounds[0]:
        raise UserError(f"teacher {str(folder)!r} learnt from window {learnt}, which must end before the validation "
                        f"window {judged} starts: its student would know what it is judged by")
