"""Tables of further evaluations: calibration, diagnosis, served signatures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.reporting.tables.table import Table, make_table
from tfrs_pretrain.reporting.text.formats import count, number, percent, signed


def calibration(results: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """Return the bins of each arm of the figure."""
    return [(name, make_table(["#mean prediction", "#share of positives", "#impressions"], [
        [number(each["score"]), number(each["rate"]), count(each["count"])] for each in bins]))
        for name, bins in results["calibration"].items() if bins]


def diagnosis(results: Mapping[str, Any]) -> Table | None:
    """Return one row per control; None without a diagnosis."""
    if results["diagnosis"] is None:
        return None
    rows = [[name, number(control["before"]), signed(control["border"]),
             f"{signed(control['border_low'])} to {signed(control['border_high'])}", signed(control["end"]),
             percent(control.get("share_of_rise"), 0), control["verdict"]]
            for name, control in results["diagnosis"]["controls"].items()]
    return make_table(["run", "#log loss before the border", "#rise right after it", "#95 % interval",
                       "#at the end of epoch 2", "#share of the rise", "verdict"], rows)


def signatures(results: Mapping[str, Any]) -> Table | None:
    """Return the checks of each signature before the version was published; None if the manifest contains none."""
    by_name = results["exported"]["check"].get("signatures", {}) if results["exported"] else {}
    rows = [[name, count(check["requests"]), count(check["rows"]), f"{check['largest_difference']:.1e}"]
            for name, check in by_name.items()]
    return make_table(["signature", "#golden requests", "#rows", "#largest difference"], rows) if rows else None
