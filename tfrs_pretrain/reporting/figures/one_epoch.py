"""The one-epoch figure: held-out quality against impressions seen, one line an arm, epoch borders drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.styled import BASELINE, arm_styles, finished, label, styled
from tfrs_pretrain.reporting.text.curves import mean_curve
from tfrs_pretrain.reporting.text.formats import metric_name

MOST_BORDERS = 20


def one_epoch(results: Mapping[str, Any], metric: str) -> go.Figure | None:
    """Validation ``metric`` along training: a thick line for the mean over seeds, thin ones for seeds.

    Every arm is in the figure; those that are not shown first are invisible until they are asked for. None where no
    curve has two points.
    """
    arms = finished(results)
    curves = {name: mean_curve(arm["runs"], metric) for name, arm in arms.items()}
    if max((len(curve) for curve in curves.values()), default=0) < 2:
        return None
    figure, styles = go.Figure(), arm_styles(results)
    for name, arm in arms.items():
        colour, dash = styles[name]
        common = {"legendgroup": name, "visible": name in results["shown"]}
        if len(arm["runs"]) > 1:
            for run in arm["runs"]:
                points = [point for point in run["curve"] if point[metric] is not None]
                figure.add_scatter(x=[point["examples"] for point in points], y=[point[metric] for point in points],
                                   mode="lines", line={"color": colour, "width": 1}, opacity=0.3, hoverinfo="skip",
                                   **common)
        curve = curves[name]
        figure.add_scatter(x=[x for x, _ in curve], y=[y for _, y in curve], name=label(name), **common,
                           mode="lines+markers", line={"color": colour, "width": 2.5, "dash": dash},
                           marker={"size": 8 if len(curve) < 3 else 6 if len(curve) < 12 else 4},
                           hovertemplate=f"{label(name)}: %{{y:.4f}} after %{{x:,}} impressions<extra></extra>")
    figure = styled(figure, x="impressions seen", y=f"validation {metric_name(metric)}", height=400)
    for border in borders(list(arms.values())):
        figure.add_vline(x=border, line={"color": BASELINE, "dash": "dot", "width": 1})
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(range=_range([y for name in results["shown"] for _, y in curves[name]]))
    return figure.update_layout(showlegend=False, margin={"t": 8})


def borders(arms: Sequence[Mapping[str, Any]]) -> list[int]:
    """Impressions seen at the end of each epoch, of the arms with epochs of the commonest length."""
    runs = [run for arm in arms for run in arm["runs"]]
    lengths, counts = np.unique([run["examples_per_epoch"] for run in runs], return_counts=True)
    length = int(lengths[counts.argmax()])
    last = max(run["curve"][-1]["examples"] for run in runs)
    return [length * epoch for epoch in range(1, min(last // length, MOST_BORDERS) + 1)]


def _range(values: Sequence[float]) -> list[float] | None:
    """Room for what matters: a first look, long before anything is learnt, may lie far outside."""
    if not values:
        return None
    low, high = np.quantile(values, [0.03, 0.97])
    reach = max(high - low, 1e-4)
    ends = (max(min(values), low - reach), min(max(values), high + reach))
    return [float(ends[0] - 0.06 * reach), float(ends[1] + 0.06 * reach)]
