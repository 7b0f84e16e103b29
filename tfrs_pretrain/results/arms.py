"""Results of one arm as JSON: kind, trials, metrics over seeds, and one entry per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import RANKER_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.evaluation.comparison import Comparison, Estimate
from tfrs_pretrain.metrics.ranking import METRICS
from tfrs_pretrain.results.arm_kind import arm_kind
from tfrs_pretrain.results.slices import slice_entries
from tfrs_pretrain.results.study_evaluation import run_name
from tfrs_pretrain.study import Run, StudiedArm, Trial, path_in

HEADLINE_METRICS = ("auc", "log_loss", "gauc")
VALIDATION_METRICS = ("auc", "log_loss", "gauc", "calibration")


def arm_results(arm: StudiedArm, comparison: Comparison, folder: Path, test_evaluations: int | None) -> dict[str, Any]:
    """Return an entry of ``arms`` in ``results.json``; an arm without a finished run has no ``test`` and no ``kind``.

    Args:
      arm: the arm.
      comparison: bootstrap results of its runs on test.
      folder: folder of the study; paths below it become relative to it.
      test_evaluations: number of the arm's settings ever evaluated on test. None: not counted.
    """
    entry = {"settings": dict(arm.settings), "seeds": [run.seed for run in arm.runs],
             "test_evaluations": test_evaluations, "trials": _trials(arm.trials),
             "failures": [{"seed": failure.seed, "reason": failure.reason} for failure in arm.failures]}
    if not arm.runs:
        return entry
    manifests = [read_manifest(run.ranker, RANKER_KIND) for run in arm.runs]
    names = [run_name(arm, run.seed) for run in arm.runs]
    test = _test_metrics(comparison, names)
    return {
        **entry, **arm_kind(arm, manifests[0]),
        **{f"test_{metric}": test[metric]["mean"] for metric in HEADLINE_METRICS}, "test": test,
        "slices": slice_entries(comparison, lambda part: comparison.mean_metrics(names, part)["auc"]["value"]),
        "validation": {metric: over_seeds([manifest["metrics"]["validation"].get(metric) for manifest in manifests])
                       for metric in VALIDATION_METRICS},
        "coverage": manifests[0].get("coverage") or {},
        "seconds": float(np.mean([manifest["seconds"] for manifest in manifests])),
        "examples_per_second": float(np.mean([manifest["examples_per_second"] for manifest in manifests])),
        "runs": [_run(run, manifest, folder) for run, manifest in zip(arm.runs, manifests, strict=True)],
    }


def validation_curve(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return validation metrics by impressions seen: the mid-epoch evaluations, or those at epoch ends.

    Args:
      manifest: manifest of a ranker.
    """
    if manifest.get("curve"):
        return list(manifest["curve"])
    examples = np.cumsum([epoch["examples"] for epoch in manifest["epochs"]])
    return [{"epoch": float(epoch["epoch"]), "examples": int(seen), "train_loss": _training_loss(epoch),
             "log_loss": epoch["validation"]["log_loss"], "auc": epoch["validation"]["auc"]}
            for epoch, seen in zip(manifest["epochs"], examples, strict=True)]


def over_seeds(values: Sequence[float | None]) -> dict[str, Any]:
    """Return ``mean``, ``by_seed`` and ``sd``, the sample standard deviation.

    A mean with an undefined value is None; so is the standard deviation of fewer than two values.
    """
    by_seed = [None if value is None or not np.isfinite(value) else float(value) for value in values]
    defined = [value for value in by_seed if value is not None]
    complete = len(defined) == len(by_seed)
    return {"mean": float(np.mean(defined)) if complete else None, "by_seed": by_seed,
            "sd": float(np.std(defined, ddof=1)) if complete and len(defined) > 1 else None}


def _test_metrics(comparison: Comparison, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    means = comparison.mean_metrics(names)
    return {metric: {**over_seeds([comparison.value(name, 0, metric) for name in names]),
                     "users": _interval(means[metric])} for metric in METRICS}


def _interval(estimate: Estimate) -> list[float | None] | None:
    return None if estimate["low"] is None else [estimate["low"], estimate["high"]]


def _run(run: Run, manifest: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {"seed": run.seed, "ranker": path_in(folder, run.ranker), "dataset": path_in(folder, run.dataset),
            "embeddings": run.embeddings and path_in(folder, run.embeddings),
            "epochs": len(manifest["epochs"]), "best_epoch": manifest.get("best_epoch"),
            "curve": validation_curve(manifest), "examples_per_epoch": manifest["epochs"][0]["examples"],
            "seconds": manifest["seconds"], "training_loss": _training_loss(manifest["epochs"][-1])}


def _training_loss(epoch: Mapping[str, Any]) -> float | None:
    """Return the mean cross-entropy against the labels during the epoch, without the distillation loss."""
    losses = epoch["train"]
    loss: float | None = losses.get("hard", losses.get("loss"))
    return loss


def _trials(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return all candidates; ``chosen`` marks the first one with the lowest validation log loss."""
    losses = [trial.validation["log_loss"] for trial in trials]
    return [{"settings": dict(trial.settings), "seed": trial.seed, "validation": dict(trial.validation),
             "chosen": index == int(np.argmin(losses))} for index, trial in enumerate(trials)]
