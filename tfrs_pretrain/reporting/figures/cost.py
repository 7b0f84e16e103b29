"""Wall-clock time by part of the study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.style import COLOURS, apply_style, label
from tfrs_pretrain.reporting.text.formats import duration


def seconds(results: Mapping[str, Any]) -> go.Figure | None:
    """Draw one bar per part; None for fewer than two parts."""
    parts = {name: value for name, value in results["seconds"].items() if name != "total"}
    if len(parts) < 2:
        return None
    figure = go.Figure()
    figure.add_bar(x=list(parts.values()), y=[label(name) for name in parts], orientation="h",
                   marker={"color": COLOURS[0]}, text=[duration(value) for value in parts.values()],
                   textposition="outside", cliponaxis=False, hoverinfo="skip")
    figure = apply_style(figure, x="seconds", y="")
    figure.update_xaxes(range=[0, 1.25 * max([0.1, *parts.values()])])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure.update_layout(showlegend=False, height=80 + 34 * len(parts), margin={"t": 8})
