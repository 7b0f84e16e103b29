"""What each arm gains over the baseline: both intervals, and each seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.styled import BASELINE, arm_colours, label, styled
from tfrs_pretrain.reporting.text.formats import metric_name, signed


def differences(results: Mapping[str, Any], metric: str) -> go.Figure | None:
    """One row an arm: a thick bar by user, a thin one over seeds, a tick for each seed; None without differences."""
    entries = [entry for entry in results["comparisons"]
               if entry["against"] == results["baseline"] and entry[metric]["value"] is not None]
    if not entries:
        return None
    figure, colours, reached = go.Figure(), arm_colours(results), [0.0]
    for entry in reversed(entries):
        change, name, colour = entry[metric], label(entry["arm"]), colours[entry["arm"]]
        for ends, width, opacity in ((change["seeds"], 2, 1.0), (change["users"], 9, 0.35)):
            if ends is not None:
                reached += ends
                figure.add_scatter(x=ends, y=[name, name], mode="lines", opacity=opacity, hoverinfo="skip",
                                   line={"color": colour, "width": width})
        if len(change["by_seed"]) > 1:
            reached += change["by_seed"]
            figure.add_scatter(x=change["by_seed"], y=[name] * len(change["by_seed"]), mode="markers", opacity=0.8,
                               marker={"color": colour, "size": 9, "symbol": "line-ns-open"},
                               hovertemplate="one seed: %{x:+.4f}<extra></extra>")
        figure.add_scatter(x=[change["value"]], y=[name], mode="markers", name=name, cliponaxis=False,
                           marker={"color": colour, "size": 10}, hovertemplate=f"{name}: {signed(change['value'])}"
                                                                              "<extra></extra>")
        reached.append(change["value"])
    figure = styled(figure, x=f"difference of test {metric_name(metric)}", y="")
    figure.add_vline(x=0, line={"color": BASELINE, "dash": "dash", "width": 1})
    low, high = min(reached), max(reached)
    room = 0.06 * max(high - low, 1e-3)
    figure.update_xaxes(range=[low - room, high + room], tickformat="+.3f", nticks=5)
    figure.update_yaxes(range=[-0.7, len(entries) - 0.3], showgrid=False, tickfont={"size": 12})
    return figure.update_layout(showlegend=False, height=95 + 30 * len(entries), margin={"t": 8})
