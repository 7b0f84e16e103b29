"""Differences between two arms as text: intervals and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.evaluation.verdict import BETTER, SAME, WORSE
from tfrs_pretrain.reporting.text.formats import DASH, metric_name, signed


def find_comparison(results: Mapping[str, Any], arm: str, against: str) -> Mapping[str, Any] | None:
    """Return the comparison of two arms; None if they were not compared."""
    return next((entry for entry in results["comparisons"] if (entry["arm"], entry["against"]) == (arm, against)), None)


def difference_with_intervals(difference: Mapping[str, Any], *, brackets: bool = True) -> str:
    """Format a difference as +0.0266 (users [+0.0255, +0.0277]), or with a semicolon instead of brackets."""
    value, ends = signed(difference["value"]), "; ".join(intervals(difference))
    if not ends:
        return value
    return f"{value} ({ends})" if brackets else f"{value}; {ends}"


def intervals(difference: Mapping[str, Any]) -> list[str]:
    """Format the available intervals as users [+0.0255, +0.0277] and seeds [+0.0250, +0.0282]."""
    return [f"{name} [{signed(difference[name][0])}, {signed(difference[name][1])}]" for name in ("users", "seeds")
            if difference[name] is not None]


def is_uncorrected(difference: Mapping[str, Any]) -> bool:
    """Whether a difference is measurable on its own, but not after correction for the number of comparisons."""
    return difference["verdict"] in (BETTER, WORSE) and not difference["holds"]


def log_loss_direction(difference: Mapping[str, Any]) -> str:
    """Return lower, higher or not measurably different."""
    return {BETTER: "lower", WORSE: "higher"}.get(difference["verdict"], "not measurably different")


def both_verdicts(comparison: Mapping[str, Any] | None) -> str:
    """Format the verdicts of AUC and log loss for a table cell; a dash without a comparison."""
    if comparison is None:
        return DASH
    auc, log_loss = (_verdict(comparison[metric]) for metric in ("auc", "log_loss"))
    return auc if auc == log_loss else f"{metric_name('auc')} {auc}, {metric_name('log_loss')} {log_loss}"


def _verdict(difference: Mapping[str, Any]) -> str:
    if is_uncorrected(difference):
        return f"{difference['verdict']} (uncorrected)"
    return "not measurable" if difference["verdict"] == SAME else str(difference["verdict"])
