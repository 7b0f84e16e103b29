"""Collect the results of a study as JSON; the package's docstring describes the format."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from tfrs_pretrain import __version__
from tfrs_pretrain.evaluation.verdict import RULE
from tfrs_pretrain.metrics.calibration import reliability
from tfrs_pretrain.results import arms, facts
from tfrs_pretrain.results.comparisons import comparisons, multiplicity
from tfrs_pretrain.results.diagnosis import diagnosis
from tfrs_pretrain.results.embedding_map import embedding_map
from tfrs_pretrain.results.judged import RESAMPLING, Judged, judge, run_name
from tfrs_pretrain.results.selection import headline_arm, shown_arms
from tfrs_pretrain.results.stage_one import stage_one
from tfrs_pretrain.study import Study

FORMAT = 4


def collect(study: Study) -> dict[str, Any]:
    """The results as JSON, in the format of the package's docstring."""
    judged = judge(study)
    described = {arm.name: arms.described(arm, judged.comparison, study.folder, study.test_evaluations.get(arm.name))
                 for arm in study.arms}
    compared = comparisons(study, judged.comparison)
    seconds = dict(study.seconds)
    seconds.setdefault("total", sum(seconds.values()))
    shown = shown_arms(described, study.baseline, study.exported)
    return {
        "format": FORMAT, "title": study.title, "name": study.config.name, "code_version": __version__,
        "baseline": study.baseline, "headline": headline_arm(described, study.baseline, study.exported),
        "shown": shown, "seeds": sorted({run.seed for arm in study.arms for run in arm.runs}),
        "test_impressions": len(judged.reference.labels), "test_positives": int(judged.reference.labels.sum()),
        "notes": judged.notes, "arms": described, "comparisons": compared,
        "multiplicity": multiplicity(compared, study.baseline),
        "resampling": {"unit": "user", "replicates": RESAMPLING.replicates, "confidence": RESAMPLING.confidence,
                       "rule": RULE},
        "stage_one": stage_one(study), "calibration": {name: _calibration(study, judged, name) for name in shown},
        "embedding_map": embedding_map(study, described), "diagnosis": diagnosis(study.folder),
        "data": facts.datasets(study), "exposures": (study.logs or {}).get("exposures"),
        "config": study.config.resolved(), "machines": facts.machines(study), "seconds": seconds,
        "peak_rss_bytes": study.peak_rss_bytes, "commands": list(study.commands),
        "exported": None if study.exported is None else dict(study.exported),
    }


def _calibration(study: Study, judged: Judged, name: str) -> list[dict[str, float]]:
    """Bins over the impressions of all seeds together."""
    arm = next(arm for arm in study.arms if arm.name == name)
    scores = [judged.scores[run_name(arm, run.seed)] for run in arm.runs]
    return reliability(np.tile(judged.reference.labels, len(scores)), np.concatenate(scores))


def as_text(results: dict[str, Any]) -> str:
    """JSON for people and machines: indented, with lists of plain values on one line."""
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    return re.sub(r"\[\n\s+([^\[\]{}]*?)\n\s+\]", lambda match: "[" + re.sub(r",\n\s+", ", ", match[1]) + "]",
                  text) + "\n"
