"""Tables that compare arms on test, overall and by slice, and their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.reporting.tables.table import Cell, Table, arm_cell, make_table
from tfrs_pretrain.reporting.text import formats
from tfrs_pretrain.reporting.text.differences import both_verdicts, intervals
from tfrs_pretrain.reporting.text.formats import DASH, count, number, signed, spaced

METRICS = ("auc", "log_loss", "gauc")


def arms(results: Mapping[str, Any]) -> Table:
    """Return the test metrics of every arm and their differences from the baseline."""
    compared = _with_baseline(results)
    return make_table(
        ["arm", "#AUC", "#difference", "#log loss", "#difference", "AUC, log loss", "#GAUC", "#difference",
         "#calibration", "#normalized entropy"],
        [[arm_cell(results, name), *_test_cells(arm, compared.get(name))] for name, arm in results["arms"].items()])


def twins(results: Mapping[str, Any]) -> Table | None:
    """Compare distilled arms with the same arms without a teacher; None if there are none."""
    entries = [entry for entry in results["comparisons"] if entry["against"] != results["baseline"]]
    rows: list[list[str | Cell]] = [
        [arm_cell(results, entry["arm"]), spaced(entry["against"]),
         *(_difference(entry, metric) for metric in METRICS), both_verdicts(entry)] for entry in entries]
    return make_table(["arm", "against", "#AUC", "#log loss", "#GAUC", "AUC, log loss"], rows) if rows else None


def slices(results: Mapping[str, Any], slicing: str) -> Table | None:
    """Return the AUC of the arms shown first in each bucket, with differences from the baseline.

    Args:
      results: as documented in ``tfrs_pretrain.results``.
      slicing: item_frequency or user_frequency.

    Returns:
      None if the results have no such slices.
    """
    baseline, compared = results["baseline"], _with_baseline(results)
    shown = [baseline, *(name for name in results["shown"] if name != baseline)]
    buckets = results["arms"][baseline]["slices"].get(slicing)
    if not buckets:
        return None
    rows = []
    for index, bucket in enumerate(buckets):
        cells = [_slice_cell(results["arms"][name]["slices"][slicing][index]["auc"],
                             compared[name]["slices"][slicing][index]["auc"] if name in compared else None)
                 for name in shown]
        rows.append([bucket["slice"], count(bucket["impressions"]), count(bucket["positives"]), *cells])
    return make_table([f"{spaced(slicing.partition('_')[0])}'s engagements", "#impressions", "#positive",
                       *(f"#AUC {spaced(name)}" for name in shown)], rows)


def settings(results: Mapping[str, Any]) -> Table:
    """Return the settings in which each arm differs from the configuration."""
    return make_table(["arm", "settings", "seeds"], [
        [arm_cell(results, name), formats.settings(arm["settings"]), ", ".join(map(str, arm["seeds"])) or DASH]
        for name, arm in results["arms"].items()])


def _with_baseline(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {entry["arm"]: entry for entry in results["comparisons"] if entry["against"] == results["baseline"]}


def _test_cells(arm: Mapping[str, Any], comparison: Mapping[str, Any] | None) -> Sequence[str | Cell]:
    if "test" not in arm:
        return [*[DASH] * 4, "did not finish", *[DASH] * 4]
    auc, log_loss, gauc = ((_mean(arm["test"][metric]), _difference(comparison, metric)) for metric in METRICS)
    return [*auc, *log_loss, both_verdicts(comparison), *gauc, number(arm["test"]["calibration"]["mean"], 3),
            number(arm["test"]["normalized_entropy"]["mean"])]


def _mean(metric: Mapping[str, Any]) -> Cell:
    return Cell(number(metric["mean"]), [f"±{number(metric['sd'])}"] if metric["sd"] is not None else (), strong=True)


def _difference(comparison: Mapping[str, Any] | None, metric: str) -> Cell:
    if comparison is None:
        return Cell(DASH)
    return Cell(signed(comparison[metric]["value"]), intervals(comparison[metric]))


def _slice_cell(auc: float | None, difference: Mapping[str, Any] | None) -> Cell:
    if difference is None or difference["value"] is None:
        return Cell(number(auc))
    return Cell(number(auc), [signed(difference["value"]), *intervals(difference)])
