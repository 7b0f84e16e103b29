"""Validation quality against impressions seen: one line per arm, with the epoch borders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.style import GREY, apply_style, arm_styles, finished_arms, label
from tfrs_pretrain.reporting.text.curves import mean_curve
from tfrs_pretrain.reporting.text.formats import metric_name

MAX_BORDERS = 20


def one_epoch(results: Mapping[str, Any], metric: str) -> go.Figure | None:
    """Draw a validation metric: a thick line for the mean over seeds, thin lines for single seeds.

    The figure contains every arm; arms that are not shown first are invisible until the reader switches them on. None
    if no curve has two points.
    """
    arms = finished_arms(results)
    curves = {name: mean_curve(arm["runs"], metric) for name, arm in arms.items()}
    if max((len(curve) for curve in curves.values()), default=0) < 2:
        return None
    figure, styles = go.Figure(), arm_styles(results)
    for name, arm in arms.items():
        common = {"legendgroup": name, "visible": name in results["shown"]}
        if len(arm["runs"]) > 1:
            _add_seeds(figure, arm["runs"], metric, styles[name][0], common)
        _add_mean(figure, label(name), curves[name], *styles[name], common)
    figure = apply_style(figure, x="impressions seen", y=f"validation {metric_name(metric)}", height=400)
    for border in epoch_borders(list(arms.values())):
        figure.add_vline(x=border, line={"color": GREY, "dash": "dot", "width": 1})
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(range=y_range([y for name in results["shown"] for _, y in curves[name]]))
    return figure.update_layout(showlegend=False, margin={"t": 8})


def epoch_borders(arms: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the impressions seen at the end of each epoch, for the most common length of an epoch."""
    runs = [run for arm in arms for run in arm["runs"]]
    lengths, counts = np.unique([run["examples_per_epoch"] for run in runs], return_counts=True)
    length = int(lengths[counts.argmax()])
    last = max(run["curve"][-1]["examples"] for run in runs)
    return [length * epoch for epoch in range(1, min(last // length, MAX_BORDERS) + 1)]


def y_range(values: Sequence[float]) -> list[float] | None:
    """Return a range around the central values: the first evaluation, early in training, may be an outlier."""
    if not values:
        return None
    low, high = np.quantile(values, [0.03, 0.97])
    height = max(high - low, 1e-4)
    bottom, top = max(min(values), low - height), min(max(values), high + height)
    return [float(bottom - 0.06 * height), float(top + 0.06 * height)]


def _add_seeds(figure: go.Figure, runs: Sequence[Mapping[str, Any]], metric: str, colour: str,
               common: Mapping[str, Any]) -> None:
    for run in runs:
        points = [point for point in run["curve"] if point[metric] is not None]
        figure.add_scatter(x=[point["examples"] for point in points], y=[point[metric] for point in points],
                           mode="lines", line={"color": colour, "width": 1}, opacity=0.3, hoverinfo="skip", **common)


def _add_mean(figure: go.Figure, name: str, curve: Sequence[tuple[int, float]], colour: str, dash: str,
              common: Mapping[str, Any]) -> None:
    figure.add_scatter(x=[x for x, _ in curve], y=[y for _, y in curve], name=name, **common,
                       mode="lines+markers", line={"color": colour, "width": 2.5, "dash": dash},
                       marker={"size": 8 if len(curve) < 3 else 6 if len(curve) < 12 else 4},
                       hovertemplate=f"{name}: %{{y:.4f}} after %{{x:,}} impressions<extra></extra>")
