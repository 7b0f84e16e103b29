"""The reliability diagram: share of positives against mean prediction, in bins of equal mass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.styled import BASELINE, arm_colours, label, styled

# Rates that span more than this ratio crowd in the corner of linear axes.
WIDE = 20


def calibration(results: Mapping[str, Any]) -> go.Figure | None:
    """One line an arm, the diagonal is perfect; logarithmic where rates span more than WIDE; None without bins."""
    lines = {name: bins for name, bins in results["calibration"].items() if len(bins) > 1}
    if not lines:
        return None
    values = [value for bins in lines.values() for one in bins for value in (one["score"], one["rate"]) if value > 0]
    log = max(values) > WIDE * min(values)
    figure, colours = go.Figure(), arm_colours(results)
    ends = [min(values), max(values)]
    figure.add_scatter(x=ends, y=ends, mode="lines", hoverinfo="skip", name="perfect",
                       line={"color": BASELINE, "dash": "dash", "width": 1})
    for name, bins in lines.items():
        shown = [one for one in bins if not log or min(one["score"], one["rate"]) > 0]
        figure.add_scatter(x=[one["score"] for one in shown], y=[one["rate"] for one in shown], name=label(name),
                           mode="lines+markers", line={"color": colours[name], "width": 1.5}, marker={"size": 7},
                           customdata=[one["count"] for one in shown],
                           hovertemplate="predicted %{x:.4f}, positive %{y:.4f}, %{customdata:,} impressions")
    figure = styled(figure, x="mean prediction", y="share of positives", height=420)
    if log:
        marks = {"type": "log", "dtick": 1 if max(values) > 1000 * min(values) else "D2", "exponentformat": "none"}
        figure.update_xaxes(marks).update_yaxes(marks)
    return figure
