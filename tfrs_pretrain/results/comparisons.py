"""Compare the arms of a study in pairs, and correct the verdicts for the number of comparisons."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.evaluation.comparison import Comparison
from tfrs_pretrain.results.differences import CorrectedDifference, Difference, corrected, difference
from tfrs_pretrain.results.pairs import compared_pairs, shared_seeds
from tfrs_pretrain.results.slices import Slices, slice_entries
from tfrs_pretrain.results.study_evaluation import RESAMPLING, run_name
from tfrs_pretrain.study import StudiedArm, Study

COMPARED = ("auc", "log_loss", "gauc")
BASELINE_FAMILY, TWIN_FAMILY = "baseline", "twins"


@dataclasses.dataclass(frozen=True)
class ArmComparison:
    """An arm compared with another one.

    Attributes:
      arm, against: names of both.
      seeds: seeds that both finished.
      differences: metric of ``COMPARED`` -> difference over all test impressions.
      slices: differences of AUC by slice, as in ``results.json``.
    """

    arm: str
    against: str
    seeds: list[int]
    differences: Mapping[str, CorrectedDifference]
    slices: Slices

    def to_json(self) -> dict[str, Any]:
        """Return the entry of ``comparisons`` in ``results.json``."""
        differences = {metric: each.to_json() for metric, each in self.differences.items()}
        return {"arm": self.arm, "against": self.against, "seeds": self.seeds, **differences, "slices": self.slices}


def compare_arms(study: Study, comparison: Comparison) -> list[ArmComparison]:
    """Compare every pair of ``compared_pairs``.

    The comparisons with the baseline are one family, those of distilled arms with their twins another. Verdicts are
    corrected within a family, each metric by itself.

    Args:
      study: arms and baseline.
      comparison: bootstrap results of all its runs.
    """
    pairs = compared_pairs(study)
    differences: dict[tuple[str, str, str], CorrectedDifference] = {}
    for family in (BASELINE_FAMILY, TWIN_FAMILY):
        members = [(arm, against) for arm, against in pairs if _family(against.name, study.baseline) == family]
        for metric in COMPARED:
            found = corrected([_overall(comparison, arm, against, metric) for arm, against in members])
            differences |= {(arm.name, against.name, metric): each
                            for (arm, against), each in zip(members, found, strict=True)}
    return [ArmComparison(
        arm.name, against.name, shared_seeds(arm, against),
        {metric: differences[arm.name, against.name, metric] for metric in COMPARED},
        _by_slice(comparison, _run_pairs(arm, against))) for arm, against in pairs]


def multiplicity(comparisons: Sequence[ArmComparison], baseline: str) -> dict[str, Any]:
    """Return the number of comparisons and differences, as ``multiplicity`` of ``results.json``."""
    overall = sum(each.users is not None for entry in comparisons for each in entry.differences.values())
    by_slice = sum(part["auc"]["users"] is not None
                   for entry in comparisons for parts in entry.slices.values() for part in parts)
    families = [_family(entry.against, baseline) for entry in comparisons]
    return {"pairs": len(comparisons), "differences": overall, "differences_by_slice": by_slice, "correction": "Holm",
            "families": {family: families.count(family) for family in (BASELINE_FAMILY, TWIN_FAMILY)},
            "expected_by_chance": round((1 - RESAMPLING.confidence) * (overall + by_slice), 2)}


def _family(against: str, baseline: str) -> str:
    return BASELINE_FAMILY if against == baseline else TWIN_FAMILY


def _run_pairs(arm: StudiedArm, against: StudiedArm) -> list[tuple[str, str]]:
    return [(run_name(arm, seed), run_name(against, seed)) for seed in shared_seeds(arm, against)]


def _overall(comparison: Comparison, arm: StudiedArm, against: StudiedArm, metric: str) -> Difference:
    return difference(comparison, _run_pairs(arm, against), 0, metric)


def _by_slice(comparison: Comparison, pairs: Sequence[tuple[str, str]]) -> Slices:
    return slice_entries(comparison, lambda part: difference(comparison, pairs, part, "auc").to_json())
