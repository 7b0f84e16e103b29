"""Tables of what was checked beside the arms: calibration, a diagnosis, the served signatures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.reporting.tables.cells import Table, table
from tfrs_pretrain.reporting.text.formats import count, number, share, signed


def calibration(results: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """Per arm in the plot: its bins."""
    return [(name, table(["#mean prediction", "#share of positives", "#impressions"], [
        [number(one["score"]), number(one["rate"]), count(one["count"])] for one in bins]))
        for name, bins in results["calibration"].items() if bins]


def diagnosis(results: Mapping[str, Any]) -> Table | None:
    """The controls of a diagnosis."""
    if results["diagnosis"] is None:
        return None
    rows = [[name, number(control["before"]), signed(control["border"]),
             f"{signed(control['border_low'])} to {signed(control['border_high'])}", signed(control["end"]),
             share(control.get("share_of_rise"), 0), control["verdict"]]
            for name, control in results["diagnosis"]["controls"].items()]
    return table(["run", "#log loss before the border", "#rise right after it", "#95 % interval",
                  "#at the end of epoch 2", "#share of the rise", "verdict"], rows)


def signatures(results: Mapping[str, Any]) -> Table | None:
    """What each signature was asked before the exported version appeared; None where the manifest does not say."""
    asked = results["exported"]["check"].get("signatures", {}) if results["exported"] else {}
    rows = [[name, count(found["requests"]), count(found["rows"]), f"{found['largest_difference']:.1e}"]
            for name, found in asked.items()]
    return table(["signature", "#golden requests", "#rows", "#largest difference"], rows) if rows else None
