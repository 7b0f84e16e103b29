"""The test predictions of all runs of a study, on the impressions that all of them scored."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import Comparison, ScoredImpressions, compare
from tfrs_pretrain.evaluation.predictions import USER_COUNT, Predictions, align
from tfrs_pretrain.evaluation.slices import Slicing, by_frequency
from tfrs_pretrain.progress import progress
from tfrs_pretrain.study import Run, StudiedArm, Study

ITEM_FREQUENCY, USER_FREQUENCY = "item_frequency", "user_frequency"
# Enough for three digits; `tfrs-pretrain evaluate` draws more.
RESAMPLING = Resampling(replicates=400)
# Draws spend their time in sums and gathers that leave the interpreter.
THREADS = 2


@dataclasses.dataclass(frozen=True)
class Judged:
    """What the test window says.

    Attributes:
      reference: predictions of the first run of the baseline, on the shared impressions; slices are cut by its counts.
      scores: name of a run -> float32 [n] probabilities.
      comparison: of the same names, by item and by user frequency.
      notes: what keeps some impressions out, in sentences.
    """

    reference: Predictions
    scores: dict[str, np.ndarray]
    comparison: Comparison
    notes: list[str]


def run_name(arm: StudiedArm, seed: int) -> str:
    """What a run is called in comparisons."""
    return f"{arm.name} {seed}"


def judge(study: Study, resampling: Resampling = RESAMPLING) -> Judged:
    """Judges every run on the test impressions that all runs scored.

    Raises:
      UserError: no run of the baseline finished, a run's test predictions are missing, or two runs hold another label
        for the same impression.
    """
    reference, scores, notes = shared(study)
    cuts = slicings(reference)

    def judged(name: str) -> Comparison:
        scored = ScoredImpressions(reference.labels, reference.users, reference.requests, {name: scores[name]})
        one = compare(scored, cuts, resampling)
        meter.advance(1)
        return one

    with progress("judge on test", total=len(scores), unit="runs") as meter, \
            concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(judged, scores))
    return Judged(reference, scores, Comparison.joined(found), notes)


def shared(study: Study) -> tuple[Predictions, dict[str, np.ndarray], list[str]]:
    """Predictions of the baseline, scores of every run on the same impressions, and what was left out.

    Raises:
      UserError: as for ``judge``.
    """
    runs = _runs(study)
    reference = Predictions.open(runs[0][1].ranker)
    scores, notes = {}, []
    for name, run in runs:
        one, other, _ = align(reference, Predictions.open(run.ranker))
        places = pd.Index(reference.keys).get_indexer(one.keys)
        scores[name] = np.full(len(reference.keys), np.nan, np.float32)
        scores[name][places] = other.scores
    kept = np.flatnonzero(np.all([np.isfinite(each) for each in scores.values()], axis=0))
    if not len(kept):
        raise UserError(f"study {str(study.folder)!r}: no test impression was scored by all runs: compare arms that "
                        "have a test window in common")
    if len(kept) < len(reference.keys):
        notes.append(f"Compared on the {len(kept):,} test impressions that every run scored, of "
                     f"{len(reference.keys):,} that {study.baseline} did.")
    return reference.take(kept), {name: each[kept] for name, each in scores.items()}, notes


def slicings(predictions: Predictions) -> list[Slicing]:
    """By how often item and user occur in the pretraining window; none where the predictions do not say."""
    if ITEM_FREQUENCY not in predictions.slicings:
        return []
    users = by_frequency(predictions.table[USER_COUNT].to_numpy())
    cuts = [predictions.slicing(ITEM_FREQUENCY), dataclasses.replace(users, name=USER_FREQUENCY)]
    return [cut.only([name for part, name in enumerate(cut.parts) if len(cut.positions(part))]) for cut in cuts]


def _runs(study: Study) -> Sequence[tuple[str, Run]]:
    """Every run with its name, those of the baseline first."""
    arms = sorted(study.arms, key=lambda arm: arm.name != study.baseline)
    runs = [(run_name(arm, run.seed), run) for arm in arms for run in arm.runs]
    if not runs or arms[0].name != study.baseline or not arms[0].runs:
        raise UserError(f"study {str(study.folder)!r}: no run of its baseline {study.baseline!r} finished, so there is "
                        "nothing to compare with: see the failures, and run it again")
    return runs
