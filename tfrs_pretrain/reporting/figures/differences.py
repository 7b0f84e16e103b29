"""The difference of each arm from the baseline, with both intervals and each seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.style import GREY, apply_style, arm_colours, label
from tfrs_pretrain.reporting.text.formats import metric_name, signed


def differences(results: Mapping[str, Any], metric: str) -> go.Figure | None:
    """Draw one row per arm; None if no difference is defined."""
    entries = [entry for entry in results["comparisons"]
               if entry["against"] == results["baseline"] and entry[metric]["value"] is not None]
    if not entries:
        return None
    figure, colours = go.Figure(), arm_colours(results)
    for entry in reversed(entries):
        _add_row(figure, label(entry["arm"]), colours[entry["arm"]], entry[metric])
    figure = apply_style(figure, x=f"difference of test {metric_name(metric)}", y="")
    figure.add_vline(x=0, line={"color": GREY, "dash": "dash", "width": 1})
    drawn = [0.0, *(x for trace in figure.data for x in trace.x)]
    margin = 0.06 * max(max(drawn) - min(drawn), 1e-3)
    figure.update_xaxes(range=[min(drawn) - margin, max(drawn) + margin], tickformat="+.3f", nticks=5)
    figure.update_yaxes(range=[-0.7, len(entries) - 0.3], showgrid=False, tickfont={"size": 12})
    return figure.update_layout(showlegend=False, height=95 + 30 * len(entries), margin={"t": 8})


def _add_row(figure: go.Figure, name: str, colour: str, difference: Mapping[str, Any]) -> None:
    """Add a thin line for the interval over seeds, a thick one for that by user, a tick per seed and a dot."""
    for interval, width, opacity in ((difference["seeds"], 2, 1.0), (difference["users"], 9, 0.35)):
        if interval is not None:
            figure.add_scatter(x=interval, y=[name, name], mode="lines", opacity=opacity, hoverinfo="skip",
                               line={"color": colour, "width": width})
    if len(difference["by_seed"]) > 1:
        figure.add_scatter(x=difference["by_seed"], y=[name] * len(difference["by_seed"]), mode="markers", opacity=0.8,
                           marker={"color": colour, "size": 9, "symbol": "line-ns-open"},
                           hovertemplate="one seed: %{x:+.4f}<extra></extra>")
    value = difference["value"]
    figure.add_scatter(x=[value], y=[name], mode="markers", name=name, cliponaxis=False,
                       marker={"color": colour, "size": 10}, hovertemplate=f"{name}: {signed(value)}<extra></extra>")
