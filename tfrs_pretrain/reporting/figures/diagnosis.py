"""A diagnosis: held-out log loss along training, as configured and with each control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.styled import BASELINE, COLOURS, label, styled


def across_border(results: Mapping[str, Any]) -> go.Figure | None:
    """One line a control, the ranker as configured thickest; None without a diagnosis."""
    if results["diagnosis"] is None:
        return None
    figure, last = go.Figure(), 1.0
    for place, (name, control) in enumerate(results["diagnosis"]["controls"].items()):
        last = max(last, control["epoch"][-1])
        figure.add_scatter(x=control["epoch"], y=control["log_loss"], name=label(name), mode="lines+markers",
                           line={"color": COLOURS[place % len(COLOURS)], "width": 3 if place == 0 else 1.5},
                           marker={"size": 4}, hovertemplate="%{y:.4f}")
    figure = styled(figure, x="passes over the training impressions", y="validation log loss (nats)", height=440)
    for border in range(1, round(last) + 1):
        figure.add_vline(x=border, line={"color": BASELINE, "dash": "dot", "width": 1})
    return figure
