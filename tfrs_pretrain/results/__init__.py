"""The evidence of a finished study: ``results.json``, ``report.html`` and ``report.md``, all with the same numbers.

``results.json``, format 3 (lists are in the order of the study unless said otherwise; null stands for undefined):

::

    format, title, name, code_version, baseline, seeds, notes, commands, seconds, peak_rss_bytes
    machines        where runs were trained, by their manifests; empty for those of before these said so
    headline        arm that the headline is about, chosen on validation (or the exported one)
    shown           arms that figures show first, chosen likewise
    test_impressions, test_positives   that all runs scored
    config          resolved, what all arms share; exposures says how impressions were derived, if they were
    data            each distinct dataset: arms, counts, splits, vocabularies, what differs from the configuration
    arms            name -> settings, trials, failures, seeds; kind, transfer, teacher; test, validation: metric ->
                    mean, by_seed, sd (over seeds), users (interval by user); slices; curve of each run;
                    test_auc, test_log_loss, test_gauc are the means again
    comparisons     arm, against, seeds; metric -> value (mean over seeds), by_seed, users and seeds (intervals),
                    verdict, p_users, p_seeds; the same for AUC by slice; for the whole also p (the larger), p_corrected
                    (for the comparisons of its family), holds (the verdict better or worse survives that)
    resampling      how users were drawn; rule: what a verdict means
    multiplicity    how many differences were judged, sizes of the families that are corrected, and how many intervals
                    would leave out 0 by chance
    stage_one       heldout_loss by epoch and heldout_loss_before_training of the first setting; settings
    calibration     arm -> bins of equal mass over all seeds: score (mean), rate, count
    embedding_map   PCA of item rows, with neighbour purity; null where no item feature can colour it
    diagnosis       content of diagnosis.json, with advice in sentences; null where none lies in the folder
    exported        manifest of the exported version; null where none was
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from tfrs_pretrain import __version__
from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.evaluation.verdict import RULE
from tfrs_pretrain.metrics.calibration import reliability
from tfrs_pretrain.reporting.report import write_report
from tfrs_pretrain.results import arms, facts
from tfrs_pretrain.results.comparisons import comparisons, multiplicity
from tfrs_pretrain.results.diagnosis import diagnosis
from tfrs_pretrain.results.embedding_map import embedding_map
from tfrs_pretrain.results.judged import RESAMPLING, Judged, judge, run_name
from tfrs_pretrain.results.selection import headline_arm, shown_arms
from tfrs_pretrain.results.stage_one import stage_one
from tfrs_pretrain.study import Study

FORMAT = 3
RESULTS = "results.json"


def write_study(study: Study) -> dict[str, Any]:
    """Judges a study, writes ``results.json``, ``report.html`` and ``report.md`` into its folder, returns the results.

    Raises:
      UserError: no run of the baseline finished, an artifact is missing or unfinished, or runs hold other labels for
        the same impressions.
    """
    results = collect(study)
    write_text(study.folder / RESULTS, as_text(results))
    write_report(study.folder, results)
    return results


def collect(study: Study) -> dict[str, Any]:
    """The results as JSON, see the module's docstring."""
    judged = judge(study)
    described = {arm.name: arms.described(arm, judged.comparison, study.folder, study.test_looks.get(arm.name))
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
