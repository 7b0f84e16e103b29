"""The diagnosis: validation log loss along training, as configured and with each control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.style import COLOURS, GREY, apply_style, label


def loss_across_border(results: Mapping[str, Any]) -> go.Figure | None:
    """Draw one line per control, the ranker as configured thickest, and the epoch borders; None without a diagnosis."""
    if results["diagnosis"] is None:
        return None
    figure, last = go.Figure(), 1.0
    for index, (name, control) in enumerate(results["diagnosis"]["controls"].items()):
        last = max(last, control["epoch"][-1])
        figure.add_scatter(x=control["epoch"], y=control["log_loss"], name=label(name), mode="lines+markers",
                           line={"color": COLOURS[index % len(COLOURS)], "width": 3 if index == 0 else 1.5},
                           marker={"size": 4}, hovertemplate="%{y:.4f}")
    figure = apply_style(figure, x="passes over the training impressions", y="validation log loss (nats)", height=440)
    for border in range(1, round(last) + 1):
        figure.add_vline(x=border, line={"color": GREY, "dash": "dot", "width": 1})
    return figure
