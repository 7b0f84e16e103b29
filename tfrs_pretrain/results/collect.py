"""Collect the results of a study as JSON, in the format of the package's docstring."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from tfrs_pretrain.evaluation.power import power_table
from tfrs_pretrain.evaluation.verdict import RULE
from tfrs_pretrain.metrics.calibration import reliability
from tfrs_pretrain.results.arms import arm_results
from tfrs_pretrain.results.benefit import benefit
from tfrs_pretrain.results.comparisons import COMPARED, compare_arms, multiplicity
from tfrs_pretrain.results.datasets import datasets
from tfrs_pretrain.results.diagnosis import read_diagnosis
from tfrs_pretrain.results.embedding_map import embedding_map
from tfrs_pretrain.results.machines import machines
from tfrs_pretrain.results.selection import headline_arm, shown_arms
from tfrs_pretrain.results.stage_one import stage_one
from tfrs_pretrain.results.study_evaluation import RESAMPLING, StudyEvaluation, evaluate_study, run_name
from tfrs_pretrain.study import Study
from tfrs_pretrain.version import __version__

FORMAT = 4


def collect(study: Study) -> dict[str, Any]:
    """Evaluate a study and return its results.

    Raises:
      UserError: as ``evaluate_study``, or an artifact is missing or unfinished.
    """
    evaluation = evaluate_study(study)
    arms = {arm.name: arm_results(arm, evaluation.comparison, study.folder, study.test_evaluations.get(arm.name))
            for arm in study.arms}
    comparisons = compare_arms(study, evaluation.comparison)
    shown = shown_arms(arms, study.baseline, study.exported)
    return {
        "format": FORMAT, "title": study.title, "name": study.config.name, "code_version": __version__,
        "baseline": study.baseline, "headline": headline_arm(arms, study.baseline, study.exported),
        "shown": shown, "seeds": sorted({run.seed for arm in study.arms for run in arm.runs}),
        "test_impressions": len(evaluation.reference.labels),
        "test_positives": int(evaluation.reference.labels.sum()),
        "notes": evaluation.notes, "arms": arms, "comparisons": [entry.to_json() for entry in comparisons],
        "multiplicity": multiplicity(comparisons, study.baseline),
        "power": {metric: power_table([entry.differences[metric].by_seed or [] for entry in comparisons])
                  for metric in COMPARED},
        "benefit": benefit(study, arms),
        "resampling": {"unit": "user", "replicates": RESAMPLING.replicates, "confidence": RESAMPLING.confidence,
                       "rule": RULE},
        "stage_one": stage_one(study), "calibration": {name: _calibration(study, evaluation, name) for name in shown},
        "embedding_map": embedding_map(study, arms), "diagnosis": read_diagnosis(study.folder),
        "data": datasets(study), "exposures": (study.logs or {}).get("exposures"),
        "config": study.config.resolved(), "machines": machines(study),
        "seconds": {**study.seconds, "total": study.seconds.get("total", sum(study.seconds.values()))},
        "peak_rss_bytes": study.peak_rss_bytes, "commands": list(study.commands),
        "exported": None if study.exported is None else dict(study.exported),
    }


def to_text(results: dict[str, Any]) -> str:
    """Format results as indented JSON with lists of plain values on one line."""
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    return re.sub(r"\[\n\s+([^\[\]{}]*?)\n\s+\]", lambda match: "[" + re.sub(r",\n\s+", ", ", match[1]) + "]",
                  text) + "\n"


def _calibration(study: Study, evaluation: StudyEvaluation, name: str) -> list[dict[str, float]]:
    """Return reliability bins of one arm over the impressions of all its seeds."""
    arm = next(arm for arm in study.arms if arm.name == name)
    scores = [evaluation.scores[run_name(arm, run.seed)] for run in arm.runs]
    weights = evaluation.reference.weights
    return reliability(np.tile(evaluation.reference.labels, len(scores)), np.concatenate(scores),
                       weights=None if weights is None else np.tile(weights, len(scores)).astype(np.float64))
