"""Shares of missing values of each column, from the records or from the counts in dataset_info.json.

A missing number is NaN in the records. A missing category is a row like any other there, and records do not count empty
lists; both are counted when a dataset is built.
"""

from typing import Any


def add_missing_counts(measured: dict[str, Any], split: dict[str, Any]) -> None:
    """Adds the counts of dataset_info.json to the statistics of columns whose records do not show missing values.

    Args:
      measured: ``SplitStatistics.to_json()`` of a split.
      split: entry of the same split in dataset_info.json; datasets of earlier versions have no counts.
    """
    for name, missing in split.get("missing", {}).items():
        column = measured["columns"].get(name)
        if column is not None and not _is_numeric(column):
            column |= {"missing": missing, "examples": split["examples"]}


def missing_share(column: dict[str, Any]) -> float | None:
    """Returns the share of missing values of a column's statistics; None if nothing was counted."""
    counted = column.get("examples", column["values"] if _is_numeric(column) else 0)
    return float(column["missing"] / counted) if counted else None


def _is_numeric(column: dict[str, Any]) -> bool:
    return "mean" in column
