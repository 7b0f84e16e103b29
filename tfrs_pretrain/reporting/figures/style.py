"""Style shared by all figures: one colour per arm, axis titles, labels."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.text.formats import spaced

# The baseline is grey; every other arm has one colour in the whole report. The colours are readable on white and on
# black, and distinguishable with the common colour vision deficiencies.
GREY = "#8a919c"
COLOURS = ("#3b82c4", "#d9822b", "#2a9d74", "#a86fc9", "#c2504f", "#7a8b2f", "#1aa3b8", "#b8863b", "#d46a9f", "#6b7fd7")
DASHES = ("solid", "dash", "dot", "dashdot")


def line_style(index: int) -> tuple[str, str]:
    """Return colour and dash of the line at a position; the dash changes when the colours repeat."""
    return COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]


def arm_styles(results: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return arm -> colour and dash; the arms shown first have the first colours, which differ most."""
    baseline, shown = results["baseline"], results["shown"]
    others = [name for name in (*shown, *(name for name in results["arms"] if name not in shown)) if name != baseline]
    styles = {name: line_style(index) for index, name in enumerate(others)}
    return {name: styles.get(name, (GREY, "solid")) for name in results["arms"]}


def arm_colours(results: Mapping[str, Any]) -> dict[str, str]:
    """Return arm -> colour."""
    return {name: colour for name, (colour, _) in arm_styles(results).items()}


def finished_arms(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the arms with at least one finished run."""
    return {name: arm for name, arm in results["arms"].items() if "test" in arm}


def apply_style(figure: go.Figure, *, x: str, y: str, height: int = 340) -> go.Figure:
    """Set the common layout and the axis titles of a figure, and return it.

    Args:
      figure: changed in place.
      x, y: axis titles.
      height: in pixels.
    """
    figure.update_layout(
        template="none", height=height, hovermode="closest", margin={"l": 62, "r": 16, "t": 44, "b": 52},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "title": None},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    font = {"size": 13}
    figure.update_xaxes(title={"text": x, "standoff": 12, "font": font}, automargin=True, showgrid=False,
                        zeroline=False)
    figure.update_yaxes(title={"text": y, "standoff": 10, "font": font}, automargin=True, zeroline=False)
    return figure


def label(name: str) -> str:
    """Return a name with spaces, escaped because plotly interprets some HTML in labels."""
    return html.escape(spaced(name), quote=False)
