"""Named limits of the validation, and comparison of measured values with them."""

import dataclasses
from collections.abc import Iterable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A limit.

    Attributes:
      default: largest value that passes; None: the value is only reported.
      meaning: description for the help text.
    """

    default: float | None
    meaning: str


THRESHOLDS = {
    "max_missing_columns": Threshold(0, "columns of the schema that are missing in a record of a split"),
    "max_new_columns": Threshold(None, "columns that are not in the schema or not in the reference"),
    "max_type_differences": Threshold(0, "columns whose type or number of values differs from the schema"),
    "max_damaged_files": Threshold(0, "files of a split that are truncated or fail their checksums"),
    "max_malformed_records": Threshold(0, "records of a split that are not a tf.Example"),
    "max_miscounted_examples": Threshold(0, "difference between the number of examples found and that in "
                                            "dataset_info.json"),
    "max_unknown_rows": Threshold(0, "values of a column that are not rows of its vocabulary"),
    "max_vocabulary_mismatches": Threshold(0, "vocabulary files whose digest differs from dataset_info.json"),
    "max_vocabulary_changes": Threshold(None, "vocabularies whose digest differs from the reference's"),
    "max_missing_share": Threshold(0.99, "share of missing values of a column (no number, no category, an empty list)"),
    "max_oov_share": Threshold(None, "share of a column's values that are outside the vocabulary"),
    "max_oov_shift": Threshold(None, "difference of that share from the reference's"),
    "max_label_rate_shift": Threshold(None, "difference of a label's mean from the reference's"),
    "max_missing_shift": Threshold(0.1, "difference of a column's share of missing values from the reference's"),
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
      value: measured value.
      split, column: where it was measured; empty if it concerns the whole dataset or split.
      detail: names behind a count, for the reader of the report.
    """

    threshold: str
    value: float
    split: str = ""
    column: str = ""
    detail: str = ""


def check_limits(measurements: Iterable[Measurement], limits: dict[str, float | None]) -> list[dict[str, Any]]:
    """Compares measurements with limits.

    Returns:
      The measurements as JSON types with ``limit`` and ``violated``; by threshold in the order of ``THRESHOLDS``, the
      largest value first. NaN violates every limit.
    """
    checks = [dataclasses.asdict(measurement) | {"limit": limits[measurement.threshold]}
              for measurement in measurements]
    for check in checks:
        check["violated"] = check["limit"] is not None and not check["value"] <= check["limit"]
    order = list(THRESHOLDS)
    return sorted(checks, key=lambda check: (order.index(check["threshold"]), -check["value"], check["split"],
                                             check["column"]))
