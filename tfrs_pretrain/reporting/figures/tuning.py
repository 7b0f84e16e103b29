"""Gains of candidates over the default, rung by rung."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.style import COLOURS, GREY, apply_style, label
from tfrs_pretrain.reporting.text.formats import metric_name, signed


def gains(result: Mapping[str, Any]) -> go.Figure | None:
    """Draw each candidate's gain in each rung, the last rung in colour; None if nothing was compared.

    Args:
      result: content of ``tune.json``.
    """
    rungs = [(index, entry) for index, rung in enumerate(result["rungs"], 1) for entry in rung["entries"]
             if entry["gain"] is not None]
    last = {entry["name"]: (index, entry["gain"]) for index, entry in rungs}
    names = sorted(last, key=last.__getitem__)
    if len(names) < 2:
        return None
    figure, count = go.Figure(), len(result["rungs"])
    for index in range(1, count + 1):
        entries = [entry for number, entry in rungs if number == index]
        figure.add_scatter(
            x=[entry["gain"] for entry in entries], y=[label(entry["name"]) for entry in entries], mode="markers",
            name=f"rung {index}", marker={"size": 7 + 2 * index, "color": COLOURS[0] if index == count else GREY,
                                          "opacity": 1 if index == count else 0.35 + 0.15 * index},
            text=[signed(entry["gain"]) for entry in entries],
            hovertemplate="%{y}: %{text}<extra>%{fullData.name}</extra>")
    figure = apply_style(figure, x=f"gain in validation {metric_name(result['metric'])} over the default", y="",
                         height=110 + 26 * len(names))
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    return figure.update_yaxes(categoryorder="array", categoryarray=[label(name) for name in names], showgrid=True)
