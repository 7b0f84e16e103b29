"""Evaluate all runs of a study on the test impressions that all of them scored."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import Comparison, ScoredImpressions, compare
from tfrs_pretrain.evaluation.predictions import Predictions, align
from tfrs_pretrain.progress import progress
from tfrs_pretrain.results.slices import frequency_slicings
from tfrs_pretrain.study import Run, StudiedArm, Study

RESAMPLING = Resampling(replicates=400)  # enough for three digits; `tfrs-pretrain evaluate` draws more
THREADS = 2  # the bootstrap spends its time in numpy calls that release the interpreter lock


@dataclasses.dataclass(frozen=True)
class AlignedScores:
    """Scores of all runs on the test impressions that all of them scored.

    Attributes:
      reference: predictions of the first run of the baseline on these impressions.
      scores: name of a run -> probabilities, float32 [n].
      notes: sentences about the impressions that were left out.
    """

    reference: Predictions
    scores: dict[str, np.ndarray]
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class StudyEvaluation(AlignedScores):
    """Scores of all runs and their bootstrap results.

    Attributes:
      comparison: bootstrap results of all runs, by item frequency and by user frequency.
    """

    comparison: Comparison


def run_name(arm: StudiedArm, seed: int) -> str:
    """Return the name of a run in ``AlignedScores`` and in its comparison."""
    return f"{arm.name} {seed}"


def evaluate_study(study: Study, resampling: Resampling = RESAMPLING) -> StudyEvaluation:
    """Compute bootstrap results of every run.

    Raises:
      UserError: no run of the baseline finished, test predictions of a run are missing, two runs have different labels
        for an impression, or no impression was scored by all runs.
    """
    aligned = align_scores(study)
    reference, slicings = aligned.reference, frequency_slicings(aligned.reference)

    def evaluate(name: str) -> Comparison:
        scored = ScoredImpressions(reference.labels, reference.users, reference.requests, {name: aligned.scores[name]},
                                   reference.weights)
        comparison = compare(scored, slicings, resampling)
        meter.advance(1)
        return comparison

    with progress("evaluate on test", total=len(aligned.scores), unit="runs") as meter, \
            concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        comparisons = list(pool.map(evaluate, aligned.scores))
    return StudyEvaluation(**vars(aligned), comparison=Comparison.joined(comparisons))


def align_scores(study: Study) -> AlignedScores:
    """Read the test scores of every run, matched by impression key.

    Raises:
      UserError: as ``evaluate_study``.
    """
    runs = _named_runs(study)
    reference = Predictions.open(runs[0][1].ranker)
    scores = {name: _scores_in_order(reference, Predictions.open(run.ranker)) for name, run in runs}
    is_shared = np.all([np.isfinite(each) for each in scores.values()], axis=0)
    shared = np.flatnonzero(is_shared)
    if not len(shared):
        raise UserError(f"study {str(study.folder)!r}: no test impression was scored by all runs: compare arms that "
                        "have a test window in common")
    notes = [] if is_shared.all() else [
        f"Compared on the {len(shared):,} test impressions that every run scored, of {len(reference.keys):,} that "
        f"{study.baseline} scored."]
    return AlignedScores(reference.take(shared), {name: each[shared] for name, each in scores.items()}, notes)


def _scores_in_order(reference: Predictions, predictions: Predictions) -> np.ndarray:
    """Return float32 scores [n] in the order of the reference's impressions; NaN for impressions that were not scored.
    """
    ours, theirs, _ = align(reference, predictions)
    scores = np.full(len(reference.keys), np.nan, np.float32)
    scores[pd.Index(reference.keys).get_indexer(ours.keys)] = theirs.scores
    return scores


def _named_runs(study: Study) -> Sequence[tuple[str, Run]]:
    """Return every run with its name, the baseline's first."""
    arms = sorted(study.arms, key=lambda arm: arm.name != study.baseline)
    if not arms or arms[0].name != study.baseline or not arms[0].runs:
        raise UserError(f"study {str(study.folder)!r}: no run of its baseline {study.baseline!r} finished, so there is "
                        "nothing to compare with: see the failures, and run it again")
    return [(run_name(arm, run.seed), run) for arm in arms for run in arm.runs]
