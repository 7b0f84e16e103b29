"""The reliability diagram: share of positives against mean prediction, in bins of equal size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.style import GREY, apply_style, arm_colours, label

MAX_LINEAR_RATIO = 20  # rates that span a larger ratio are drawn on logarithmic axes


def calibration(results: Mapping[str, Any]) -> go.Figure | None:
    """Draw one line per arm and the diagonal of perfect calibration; None if no arm has two bins."""
    bins_by_arm = {name: bins for name, bins in results["calibration"].items() if len(bins) > 1}
    if not bins_by_arm:
        return None
    values = [value for bins in bins_by_arm.values() for each in bins for value in (each["score"], each["rate"])
              if value > 0]
    ends = [min(values), max(values)]
    is_log = ends[1] > MAX_LINEAR_RATIO * ends[0]
    figure, colours = go.Figure(), arm_colours(results)
    figure.add_scatter(x=ends, y=ends, mode="lines", hoverinfo="skip", name="perfect",
                       line={"color": GREY, "dash": "dash", "width": 1})
    for name, bins in bins_by_arm.items():
        _add_line(figure, label(name), colours[name], bins, positive_only=is_log)
    figure = apply_style(figure, x="mean prediction", y="share of positives", height=420)
    if is_log:
        axis = {"type": "log", "dtick": 1 if ends[1] > 1000 * ends[0] else "D2", "exponentformat": "none"}
        figure.update_xaxes(axis).update_yaxes(axis)
    return figure


def _add_line(figure: go.Figure, name: str, colour: str, bins: Sequence[Mapping[str, Any]], *,
              positive_only: bool) -> None:
    drawn = [each for each in bins if not positive_only or min(each["score"], each["rate"]) > 0]
    figure.add_scatter(x=[each["score"] for each in drawn], y=[each["rate"] for each in drawn], name=name,
                       mode="lines+markers", line={"color": colour, "width": 1.5}, marker={"size": 7},
                       customdata=[each["count"] for each in drawn],
                       hovertemplate="predicted %{x:.4f}, positive %{y:.4f}, %{customdata:,} impressions")
