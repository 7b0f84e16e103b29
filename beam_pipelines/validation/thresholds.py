"""The named limits of a validation, and what was measured against each."""

import dataclasses
from collections.abc import Iterable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A limit: the largest value that passes, None where it is only reported."""

    default: float | None
    meaning: str


THRESHOLDS = {
    "max_missing_columns": Threshold(0, "columns of the schema that some record of a split lacks"),
    "max_new_columns": Threshold(None, "columns that the schema or the reference does not have"),
    "max_type_differences": Threshold(0, "columns whose values are of another type or number than the schema says"),
    "max_damaged_files": Threshold(0, "files of a split that are cut off or whose checksums do not fit"),
    "max_malformed_records": Threshold(0, "records of a split that are no tf.Example"),
    "max_miscounted_examples": Threshold(0, "difference between the examples found and those in dataset_info.json"),
    "max_unknown_rows": Threshold(0, "values of a column that are rows its vocabulary does not have"),
    "max_vocabulary_mismatches": Threshold(0, "vocabulary files that are not those that dataset_info.json names"),
    "max_vocabulary_changes": Threshold(None, "vocabularies whose digest differs from the reference's"),
    "max_oov_share": Threshold(None, "share of a column's values that are outside the vocabulary"),
    "max_oov_shift": Threshold(None, "difference of that share from the reference's"),
    "max_label_rate_shift": Threshold(None, "difference of a label's mean from the reference's"),
    "max_missing_shift": Threshold(None, "difference of the share of missing numeric values from the reference's"),
    "max_mean_shift": Threshold(None, "difference of a numeric column's means in standard deviations of the reference"),
    "max_std_shift": Threshold(None, "|ln| of the ratio of a numeric column's standard deviations"),
    "max_psi": Threshold(None, "population stability index of a numeric or categorical column"),
    "max_ks": Threshold(None, "Kolmogorov-Smirnov distance of a numeric column"),
}


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A value to compare with the limit of a threshold.

    Attributes:
      threshold: name in ``THRESHOLDS``.
      value: what was measured.
      split, column: where; empty where it concerns all.
      detail: names behind a count, for people.
    """

    threshold: str
    value: float
    split: str = ""
    column: str = ""
    detail: str = ""


def check_limits(measurements: Iterable[Measurement], limits: dict[str, float | None]) -> list[dict[str, Any]]:
    """Measurements as JSON types with limit and whether it is passed; the worst of each threshold first."""
    entries = [dataclasses.asdict(measurement) | {"limit": limits[measurement.threshold]}
               for measurement in measurements]
    for entry in entries:
        entry["violated"] = entry["limit"] is not None and not entry["value"] <= entry["limit"]
    order = list(THRESHOLDS)
    return sorted(entries, key=lambda entry: (order.index(entry["threshold"]), -entry["value"], entry["split"],
                                              entry["column"]))
