"""Whether pretraining pays in a study: its best two-stage arm against its best arm from scratch, on validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from tfrs_pretrain.artifact_names import DATASET_INFO, DATASET_KIND, RANKER_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import PretrainedTransfer
from tfrs_pretrain.evaluation.comparison import Comparison, Estimate, ScoredImpressions, compare
from tfrs_pretrain.evaluation.predictions import Predictions, align
from tfrs_pretrain.ranking.benefit.facts import TransferFacts
from tfrs_pretrain.ranking.benefit.verdict import METRICS, RESAMPLING, Benefit
from tfrs_pretrain.results.arm_kind import SCRATCH, TWO_STAGE
from tfrs_pretrain.results.differences import Difference, difference
from tfrs_pretrain.results.pairs import shared_seeds
from tfrs_pretrain.results.selection import best_arm
from tfrs_pretrain.results.study_evaluation import run_name
from tfrs_pretrain.study import Run, StudiedArm, Study

VALIDATION = "validation"
PRETRAINED_KINDS = get_args(PretrainedTransfer.model_fields["kind"].annotation)


def benefit(study: Study, arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return ``benefit`` of ``results.json``; None unless the study has both kinds of arms with a seed in common.

    Arms on another dataset than that of the arm from scratch, such as one with overlapping windows, are left out.

    Args:
      study: the study.
      arms: ``arms`` of ``results.json``.
    """
    known = {arm.name: arm for arm in study.arms if arm.runs}
    scratch = best_arm(arms, [name for name in known if arms[name]["kind"] == SCRATCH and not arms[name]["teacher"]])
    if scratch is None:
        return None
    dataset = known[scratch].runs[0].dataset
    best = best_arm(arms, [name for name, arm in known.items() if arms[name]["kind"] == TWO_STAGE
                        and arm.runs[0].dataset == dataset and shared_seeds(arm, known[scratch])])
    if best is None:
        return None
    differences = _differences(known[best], known[scratch])
    spaces = [space for space, kind in arms[best]["transfer"].items() if kind in PRETRAINED_KINDS]
    return Benefit.judge(best, scratch, differences, _facts(known[best].runs[0], spaces)).to_json()


def _differences(arm: StudiedArm, scratch: StudiedArm) -> dict[str, Estimate]:
    """Return metric -> mean difference over the shared seeds, with an interval that contains all available ones."""
    pairs = [(run_name(arm, seed), run_name(scratch, seed)) for seed in shared_seeds(arm, scratch)]
    comparison = _comparison({run_name(each, run.seed): run for each in (scratch, arm) for run in each.runs})
    found = {metric: difference(comparison, pairs, 0, metric) for metric in METRICS}
    return {metric: _widest(each) for metric, each in found.items()}


def _comparison(runs: Mapping[str, Run]) -> Comparison:
    """Compare runs on the validation impressions of their dataset."""
    opened = {name: Predictions.open(run.ranker, VALIDATION) for name, run in runs.items()}
    reference = next(iter(opened.values()))
    scores = {name: align(reference, each)[1].scores for name, each in opened.items()}
    scored = ScoredImpressions(reference.labels, reference.users, reference.requests, scores, reference.weights)
    return compare(scored, [], RESAMPLING)


def _widest(found: Difference) -> Estimate:
    ends = [interval for interval in (found.users, found.seeds) if interval]
    return Estimate(value=found.value, low=min((low for low, _ in ends), default=None),
                    high=max((high for _, high in ends), default=None))


def _facts(run: Run, spaces: list[str]) -> TransferFacts:
    manifest, info = read_manifest(run.ranker, RANKER_KIND), read_manifest(run.dataset, DATASET_KIND, name=DATASET_INFO)
    return TransferFacts.from_records(info, manifest.get("coverage") or {}, manifest.get("cold_fits") or {},
                                      spaces)
