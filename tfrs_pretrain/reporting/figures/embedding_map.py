"""Item rows along their two largest directions, coloured by category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.styled import BASELINE, COLOURS, label, styled

OTHER = -1


def embedding_maps(results: Mapping[str, Any]) -> dict[str, go.Figure]:
    """Name in the page -> one panel for each table; all share the colours of ``categories``."""
    drawn = results["embedding_map"]
    return {} if drawn is None else {f"embedding_map_{place}": _panel(drawn, one)
                                     for place, one in enumerate(drawn["maps"])}


def categories(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and colour of each category, largest first, all others last."""
    drawn = results["embedding_map"]
    if drawn is None:
        return []
    others = [("others", BASELINE)] if OTHER in drawn["category"] else []
    return [*zip(drawn["categories"], COLOURS, strict=False), *others]


def _panel(drawn: Mapping[str, Any], one: Mapping[str, Any]) -> go.Figure:
    figure = go.Figure()
    for place, name in [(OTHER, "others"), *enumerate(drawn["categories"])]:
        rows = [row for row, category in enumerate(drawn["category"]) if category == place]
        if rows:
            figure.add_scatter(
                x=[one["x"][row] for row in rows], y=[one["y"][row] for row in rows], mode="markers", name=label(name),
                opacity=0.3 if place == OTHER else 0.8, hovertemplate=f"{label(name)}<extra></extra>",
                marker={"size": 4, "color": BASELINE if place == OTHER else COLOURS[place]})
    figure = styled(figure, x="", y="", height=320)
    figure.update_xaxes(showticklabels=False, showline=False, ticks="", title=None)
    figure.update_yaxes(showticklabels=False, showline=False, ticks="", showgrid=False, title=None)
    return figure.update_layout(margin={"l": 4, "r": 4, "t": 4, "b": 4}, showlegend=False)
