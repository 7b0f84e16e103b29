"""How much pretraining can help a ranking model at all, as far as the dataset tells before any training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.config import Windows
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS

LOW_COVERAGE = 0.05
MICROSECONDS_PER_DAY = 24 * 3600 * 10**6


@dataclasses.dataclass(frozen=True)
class PretrainingReach:
    """Coverage of the ids, evidence for each id, and age of the rows.

    Attributes:
      coverage: window -> join, see ``joins`` -> share of the window's impressions that find a match.
      engagements_per_id: id space -> median number of engagements, in the pretraining window, of the ids that have any.
      age: window -> distance from the last engagement of the pretraining window to the start of this window.
      age_unit: unit of ``age``: "days", or the name of the window column if it is an integer.
    """

    coverage: dict[str, dict[str, float]]
    engagements_per_id: dict[str, float]
    age: dict[str, float]
    age_unit: str

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> PretrainingReach | None:
        """Reads dataset_info.json; None if an earlier version, which did not count the joins, wrote it."""
        coverage = {split.rpartition("/")[2]: dict(info["splits"][split]["coverage"]) for split in IMPRESSION_SPLITS
                    if "coverage" in info["splits"].get(split, {})}
        if not coverage or "engagements_end" not in info:
            return None
        windows = Windows.model_validate(info["config"]["windows"])
        unit = MICROSECONDS_PER_DAY if windows.pretrain.temporal else 1
        age = {name: max(getattr(windows, name).bounds[0] - info["engagements_end"], 0) / unit for name in coverage}
        return cls(coverage, {space: info["vocabularies"][space]["median_count"] for space in ("user", "item")}, age,
                   "days" if windows.pretrain.temporal else info["config"]["schema"]["window"])


def low_coverage_warnings(shares: Mapping[str, float]) -> list[str]:
    """Says for which id spaces pretraining can hardly help, why, and what to do.

    Args:
      shares: id space -> share of the training impressions whose id has a pretrained row.
    """
    return [f"only {share:.1%} of the training impressions have a pretrained {space}, because few of their ids have "
            f"engagements in the pretraining window: the pretrained {space} table can hardly help. Compare the {space} "
            f"ids of both logs, widen windows.pretrain, or lower schema.{space}.min_count"
            for space, share in shares.items() if share < LOW_COVERAGE]
