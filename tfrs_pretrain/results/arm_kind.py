"""The kind of an arm: where its ID tables start, which remedies it uses, and its teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.config.migration import migrate_arm
from tfrs_pretrain.results.pairs import is_distilled
from tfrs_pretrain.study import StudiedArm

SCRATCH, REMEDY, TWO_STAGE = "scratch", "one-epoch remedy", "two-stage"
REMEDIES = ("meda", "early_stopping", "interval_decay", "frequency_adaptive_rate", "embedding_l2")
ID_SPACES = ("user", "item")
TEACHER_KEY = "arm.distillation.teacher"  # its value is the name of an arm; the ranker's configuration has a folder


def arm_kind(arm: StudiedArm, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``kind``, ``transfer`` (by ID space), ``remedies`` and ``teacher`` of ``results.json``.

    Args:
      arm: the arm.
      manifest: manifest of one of its rankers.
    """
    settings = migrate_arm(manifest["config"]["ranking"]["arms"][manifest["arm"]], [])
    transfer = manifest["transfer"]
    remedies = _remedies(arm, settings)
    is_pretrained = manifest.get("embeddings") is not None
    return {
        "kind": TWO_STAGE if is_pretrained else REMEDY if remedies else SCRATCH,
        "transfer": dict.fromkeys(ID_SPACES, transfer) if isinstance(transfer, str) else transfer,
        "remedies": remedies, "teacher": _distillation(arm, settings),
    }


def _remedies(arm: StudiedArm, settings: Mapping[str, Any]) -> list[str]:
    """Return the remedies that the arm's entry, or the arm's settings of all arms, switch on."""
    ranking = {key.rpartition(".")[2]: value for key, value in arm.settings.items() if key.startswith("ranking.")}
    effective = {**settings, **ranking}
    return [name for name in REMEDIES if effective.get(name)]


def _distillation(arm: StudiedArm, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    distillation = settings.get("distillation") if is_distilled(arm) else None
    if distillation and TEACHER_KEY in arm.settings:
        return {**distillation, "teacher": {"kind": "fixed", "path": arm.settings[TEACHER_KEY]}}
    return distillation
