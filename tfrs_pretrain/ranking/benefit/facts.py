"""What a dataset and an arm tell about the pretrained rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.config import Windows
from tfrs_pretrain.data.pretraining_reach import MICROSECONDS_PER_DAY, PretrainingReach

TRAIN = "train"


@dataclasses.dataclass(frozen=True)
class TransferFacts:
    """Coverage, age and evidence of the pretrained rows of an arm.

    Attributes:
      coverage: id space -> share of the training impressions whose id has a pretrained row.
      engagements_per_id: id space -> median number of engagements of the ids that have any; empty if unknown.
      age: distance from the last engagement to the start of the training window; None if unknown.
      age_unit: unit of ``age``: "days", or the name of the window column.
      pretrain_length: length of the pretraining window in the same unit.
      cold_r2: id space -> R² of the prediction of unknown ids' rows; only where the arm configures one.
    """

    coverage: Mapping[str, float]
    engagements_per_id: Mapping[str, float] = dataclasses.field(default_factory=dict)
    age: float | None = None
    age_unit: str = "days"
    pretrain_length: float = 1.0
    cold_r2: Mapping[str, float | None] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_records(cls, info: Mapping[str, Any], coverage: Mapping[str, Mapping[str, float]],
                     cold_fits: Mapping[str, Mapping[str, Any]], spaces: list[str]) -> TransferFacts:
        """Read the facts from stored records.

        Args:
          info: content of dataset_info.json.
          coverage: ``coverage`` of the ranker's manifest.
          cold_fits: ``cold_fits`` of the ranker's manifest.
          spaces: id spaces whose tables start at pretrained rows.
        """
        shares = {space: coverage[TRAIN][f"{space}_impressions"] for space in spaces if TRAIN in coverage}
        r2 = {space: fit["r2"] for space, fit in cold_fits.items()}
        reach = PretrainingReach.from_info(info)
        if reach is None:
            return cls(shares, cold_r2=r2)
        window = Windows.model_validate(info["config"]["windows"]).pretrain
        length = (window.bounds[1] - window.bounds[0]) / (MICROSECONDS_PER_DAY if window.temporal else 1)
        engagements = {space: reach.engagements_per_id[space] for space in spaces}
        return cls(shares, engagements, reach.age.get(TRAIN), reach.age_unit, length, r2)
