"""The figure of a stream: difference from the baseline by window, with bands, and the running sum of log loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tfrs_pretrain.reporting.figures.style import GREY, apply_style, label, line_style
from tfrs_pretrain.reporting.text.formats import signed

HEIGHT = 640


def stream_colours(results: Mapping[str, Any]) -> dict[str, str]:
    """Return arm -> colour; the baseline is grey."""
    others = [name for name in results["arms"] if name != results["baseline"]]
    return {name: line_style(index)[0] for index, name in enumerate(others)} | {results["baseline"]: GREY}


def stream_figure(results: Mapping[str, Any]) -> go.Figure | None:
    """Draw one line per arm in both panels; None if no arm is compared with the baseline."""
    if not results["comparisons"]:
        return None
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.09, row_heights=[0.6, 0.4])
    numbers, colours = [window["number"] for window in results["judged"]], stream_colours(results)
    for index, (name, entry) in enumerate(results["comparisons"].items()):
        visible = True if name in results["shown"] else "legendonly"
        common = {"legendgroup": name, "visible": visible}
        _add_band(figure, numbers, entry["auc"]["windows"], colours[name], common)
        dash = line_style(index)[1]
        _add_line(figure, 1, numbers, [window["value"] for window in entry["auc"]["windows"]], name, colours[name],
                  dash, common)
        running = results["regret"]["arms"][name]["baseline"]
        if running:
            _add_line(figure, 2, numbers, [-value for value in running["by_window"]], name, colours[name], dash, common)
    apply_style(figure, x="", y="", height=HEIGHT)
    figure.update_yaxes(title={"text": f"AUC minus {label(results['baseline'])}"}, tickformat="+.3f", row=1,
                        range=_range(results))
    figure.update_yaxes(title={"text": "log loss saved, sum"}, row=2)
    figure.update_xaxes(title={"text": "judged window"}, row=2)
    figure.update_xaxes(dtick=1 if len(numbers) < 12 else 2 if len(numbers) < 25 else None,
                        range=[numbers[0] - 0.4, numbers[-1] + 0.4])
    figure.add_hline(y=0, line={"color": GREY, "dash": "dash", "width": 1})
    last = max((window["number"] for window in results["judged"] if window["choosing"]), default=None)
    if last is not None:
        figure.add_vrect(x0=numbers[0] - 0.4, x1=last + 0.5, fillcolor=GREY, opacity=0.14, line_width=0, layer="below")
    return figure.update_layout(hovermode="closest")


def _range(results: Mapping[str, Any]) -> list[float]:
    """Return a range around the lines: with two seeds, a band may be a hundred times as high as they are."""
    windows = [window for entry in results["comparisons"].values() for window in entry["auc"]["windows"]]
    lines = [0.0, *(window["value"] for window in windows if window["value"] is not None)]
    ends = [*lines, *(end for window in windows for end in window["both"] or ())]
    room = max(max(lines) - min(lines), 2e-3)
    return [max(min(ends), min(lines) - room) - room / 10, min(max(ends), max(lines) + room) + room / 10]


def _add_band(figure: go.Figure, numbers: Sequence[int], windows: Sequence[Mapping[str, Any]], colour: str,
              common: Mapping[str, Any]) -> None:
    bands = [(number, *window["both"]) for number, window in zip(numbers, windows, strict=True) if window["both"]]
    if bands:
        around = [*bands, *reversed(bands)]
        figure.add_scatter(x=[band[0] for band in around], mode="lines", fill="toself", fillcolor=colour, opacity=0.16,
                           y=[*(high for _, _, high in bands), *(low for _, low, _ in reversed(bands))], row=1, col=1,
                           line={"width": 0, "color": colour}, hoverinfo="skip", showlegend=False, **common)


def _add_line(figure: go.Figure, row: int, numbers: Sequence[int], values: Sequence[float | None], name: str,
              colour: str, dash: str, common: Mapping[str, Any]) -> None:
    figure.add_scatter(x=numbers, y=values, name=label(name), mode="lines+markers", row=row, col=1,
                       line={"color": colour, "width": 2.5, "dash": dash}, marker={"size": 5}, showlegend=row == 1,
                       text=[signed(value) for value in values],
                       hovertemplate=f"{label(name)}: %{{text}} in window %{{x}}<extra></extra>", **common)
