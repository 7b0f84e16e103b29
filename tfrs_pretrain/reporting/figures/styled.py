"""What the plots share: colours by arm, axis titles, labels."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.text.formats import words

# The baseline is grey; the others keep one colour each through the whole report. Readable on white and on black, and
# told apart with the usual colour deficiencies.
BASELINE = "#8a919c"
COLOURS = ("#3b82c4", "#d9822b", "#2a9d74", "#a86fc9", "#c2504f", "#7a8b2f", "#1aa3b8", "#b8863b", "#d46a9f", "#6b7fd7")
DASHES = ("solid", "dash", "dot", "dashdot")


def arm_colours(results: Mapping[str, Any]) -> dict[str, str]:
    """Arm -> colour; the arms that are shown first have the first colours, which differ most."""
    return {name: colour for name, (colour, _) in arm_styles(results).items()}


def arm_styles(results: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Arm -> colour and dash; the dash changes where the colours begin again."""
    baseline, shown = results["baseline"], results["shown"]
    others = [name for name in (*shown, *(name for name in results["arms"] if name not in shown)) if name != baseline]
    styles = {name: (COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)])
              for place, name in enumerate(others)}
    return {name: styles.get(name, (BASELINE, "solid")) for name in results["arms"]}


def finished(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The arms that have at least one finished run."""
    return {name: arm for name, arm in results["arms"].items() if "test" in arm}


def styled(figure: go.Figure, *, x: str, y: str, height: int = 340) -> go.Figure:
    """Axis titles and room for them."""
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
    """A name as plotly shows it: it reads labels as a kind of HTML."""
    return html.escape(words(name), quote=False)
