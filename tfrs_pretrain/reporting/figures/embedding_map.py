"""Item rows along their first two principal components, coloured by category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.style import COLOURS, GREY, apply_style, label

OTHER = -1  # index of the categories without a colour


def embedding_maps(results: Mapping[str, Any]) -> dict[str, go.Figure]:
    """Return name in the page -> one panel per table; all panels share the colours of ``category_colours``."""
    content = results["embedding_map"]
    return {} if content is None else {f"embedding_map_{index}": _panel(content, each)
                                       for index, each in enumerate(content["maps"])}


def category_colours(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return name and colour of each category, the largest first, all others last."""
    content = results["embedding_map"]
    if content is None:
        return []
    others = [("others", GREY)] if OTHER in content["category"] else []
    return [*zip(content["categories"], COLOURS, strict=False), *others]


def _panel(content: Mapping[str, Any], panel: Mapping[str, Any]) -> go.Figure:
    figure = go.Figure()
    for index, name in [(OTHER, "others"), *enumerate(content["categories"])]:
        items = [item for item, category in enumerate(content["category"]) if category == index]
        if items:
            figure.add_scatter(
                x=[panel["x"][item] for item in items], y=[panel["y"][item] for item in items], mode="markers",
                name=label(name), opacity=0.3 if index == OTHER else 0.8,
                hovertemplate=f"{label(name)}<extra></extra>",
                marker={"size": 4, "color": GREY if index == OTHER else COLOURS[index]})
    figure = apply_style(figure, x="", y="", height=320)
    figure.update_xaxes(showticklabels=False, showline=False, ticks="", title=None)
    figure.update_yaxes(showticklabels=False, showline=False, ticks="", showgrid=False, title=None)
    return figure.update_layout(margin={"l": 4, "r": 4, "t": 4, "b": 4}, showlegend=False)
