"""One arm as JSON: what it is, what it was chosen from, and what each of its seeds gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import RANKER_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config.migration import migrate_arm
from tfrs_pretrain.evaluation.comparison import Comparison, Estimate
from tfrs_pretrain.metrics.ranking import METRICS
from tfrs_pretrain.results.comparisons import distilled, slices
from tfrs_pretrain.results.judged import run_name
from tfrs_pretrain.study import Run, StudiedArm, Trial, path_in

SCRATCH, REMEDY, TWO_STAGE = "scratch", "one-epoch remedy", "two-stage"
REMEDIES = ("meda", "early_stopping", "interval_decay", "embedding_l2")
ID_SPACES = ("user", "item")
TAUGHT_BY = "arm.distillation.teacher"  # names an arm of the study, where the ranker's configuration has its folder


def described(arm: StudiedArm, found: Comparison, folder: Path, test_evaluations: int | None) -> dict[str, Any]:
    """The arm as JSON; without ``test`` and the like where none of its runs finished.

    Args:
      arm: as it was studied.
      found: its runs on the test window.
      folder: of the study, for relative paths.
      test_evaluations: how many of its settings were ever scored on test; None where nobody counted.
    """
    head = {"settings": dict(arm.settings), "seeds": [run.seed for run in arm.runs],
            "test_evaluations": test_evaluations,
            "trials": _trials(arm.trials),
            "failures": [{"seed": failure.seed, "reason": failure.reason} for failure in arm.failures]}
    if not arm.runs:
        return head
    manifests = [read_manifest(run.ranker, RANKER_KIND) for run in arm.runs]
    names = [run_name(arm, run.seed) for run in arm.runs]
    test = {metric: _over_seeds([found.value(name, 0, metric) for name in names]) | {
        "users": _ends(found.mean_metrics(names)[metric])} for metric in METRICS}
    of_slices = slices(found, lambda part: {"auc": found.mean_metrics(names, part)["auc"]["value"]})
    return {
        **head, **kind(arm, manifests[0]),
        **{f"test_{metric}": test[metric]["mean"] for metric in ("auc", "log_loss", "gauc")},
        "test": test, "slices": of_slices,
        "validation": {metric: _over_seeds([manifest["metrics"]["validation"].get(metric) for manifest in manifests])
                       for metric in ("auc", "log_loss", "gauc", "calibration")},
        "coverage": manifests[0].get("coverage") or {},
        "seconds": float(np.mean([manifest["seconds"] for manifest in manifests])),
        "examples_per_second": float(np.mean([manifest["examples_per_second"] for manifest in manifests])),
        "runs": [_run(run, manifest, folder) for run, manifest in zip(arm.runs, manifests, strict=True)],
    }


def kind(arm: StudiedArm, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Where the ID tables start, who teaches, and which of three kinds that makes it."""
    settings = migrate_arm(manifest["config"]["ranking"]["arms"][manifest["arm"]], [])
    transfer = manifest["transfer"]
    transfers = dict.fromkeys(ID_SPACES, transfer) if isinstance(transfer, str) else transfer
    pretrained = manifest.get("embeddings") is not None
    changed = dict(settings) | {key.rpartition(".")[2]: value for key, value in arm.settings.items()
                                if key.startswith("ranking.")}
    remedies = [name for name in REMEDIES if changed.get(name)]
    teacher = settings.get("distillation") if distilled(arm) else None
    if teacher and TAUGHT_BY in arm.settings:
        teacher = {**teacher, "teacher": {"kind": "fixed", "path": arm.settings[TAUGHT_BY]}}
    return {"kind": TWO_STAGE if pretrained else REMEDY if remedies else SCRATCH, "transfer": transfers,
            "remedies": remedies, "teacher": teacher}


def curve(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Held-out loss against impressions seen: the looks within epochs where there are some, else the epochs' ends."""
    if manifest.get("curve"):
        return list(manifest["curve"])
    examples = np.cumsum([epoch["examples"] for epoch in manifest["epochs"]])
    return [{"epoch": float(epoch["epoch"]), "examples": int(done), "train_loss": _training_loss(epoch),
             "log_loss": epoch["validation"]["log_loss"], "auc": epoch["validation"]["auc"]}
            for epoch, done in zip(manifest["epochs"], examples, strict=True)]


def _run(run: Run, manifest: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {"seed": run.seed, "ranker": path_in(folder, run.ranker), "dataset": path_in(folder, run.dataset),
            "embeddings": run.embeddings and path_in(folder, run.embeddings),
            "epochs": len(manifest["epochs"]), "best_epoch": manifest.get("best_epoch"), "curve": curve(manifest),
            "examples_per_epoch": manifest["epochs"][0]["examples"], "seconds": manifest["seconds"],
            "training_loss": _training_loss(manifest["epochs"][-1])}


def _training_loss(epoch: Mapping[str, Any]) -> float | None:
    """Mean cross-entropy against the labels while the epoch ran, without the teacher's share."""
    losses = epoch["train"]
    return losses.get("hard", losses.get("loss"))


def _trials(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """All candidates; ``chosen`` is the one with the lowest validation log loss."""
    losses = [trial.validation["log_loss"] for trial in trials]
    return [{"settings": dict(trial.settings), "seed": trial.seed, "validation": dict(trial.validation),
             "chosen": place == int(np.argmin(losses))} for place, trial in enumerate(trials)]


def _over_seeds(values: Sequence[float | None]) -> dict[str, Any]:
    """Values by seed, their mean, and their standard deviation where there are several; None where undefined."""
    known = [None if value is None or not np.isfinite(value) else float(value) for value in values]
    numbers = [value for value in known if value is not None]
    whole = len(numbers) == len(known)
    return {"mean": float(np.mean(numbers)) if whole else None, "by_seed": known,
            "sd": float(np.std(numbers, ddof=1)) if whole and len(numbers) > 1 else None}


def _ends(metric: Estimate) -> list[float | None] | None:
    return None if metric["low"] is None else [metric["low"], metric["high"]]
