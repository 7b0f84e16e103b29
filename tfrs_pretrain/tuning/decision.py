"""Decide whether the best candidate of a race replaces the default."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import ScoredImpressions, compare
from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER

RESAMPLING = Resampling(replicates=100)  # for a standard error, not for the ends of an interval
VALIDATION = "validation"


@dataclasses.dataclass(frozen=True)
class Difference:
    """The paired difference of a candidate from the default on validation, mean over the seeds.

    Attributes:
      gain: the difference, positive where the candidate is better.
      over_seeds: standard error of the mean over seeds.
      over_users: standard error by bootstrap over users; 0 where undefined, as with a single user.
    """

    gain: float
    over_seeds: float
    over_users: float

    @property
    def standard_error(self) -> float:
        """Standard error from both sources, which are independent."""
        return math.hypot(self.over_seeds, self.over_users)

    @property
    def is_better(self) -> bool:
        return self.gain > self.standard_error


def paired_difference(candidate: Sequence[Path], default: Sequence[Path], metric: str) -> Difference:
    """Compare rankers of the same seeds by their stored validation predictions.

    Args:
      candidate, default: ranker folders, one for each of at least two seeds.
      metric: one of METRICS.

    Raises:
      UserError: predictions are missing, damaged or of other impressions.
    """
    reference = Predictions.open(default[0], VALIDATION)
    scores = {}
    for side, folders in (("candidate", candidate), ("default", default)):
        for index, folder in enumerate(folders):
            predictions = Predictions.open(folder, VALIDATION)
            if not np.array_equal(predictions.keys, reference.keys):
                raise UserError(f"{str(folder)!r} and {str(default[0])!r} have predictions of different impressions: "
                                "remove the output folder, and run the command again")
            scores[f"{side} {index}"] = predictions.scores
    scored = ScoredImpressions(reference.labels, reference.users, None, scores, reference.weights)
    comparison = compare(scored, (), RESAMPLING)
    pairs = [(f"candidate {index}", f"default {index}") for index in range(len(default))]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    differences = [sign * (comparison.value(one, 0, metric) - comparison.value(two, 0, metric)) for one, two in pairs]
    return Difference(float(np.mean(differences)), float(np.std(differences, ddof=1)) / math.sqrt(len(differences)),
                      comparison.standard_error(pairs, metric) or 0.0)
