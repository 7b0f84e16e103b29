"""Stage I by epoch: held-out loss and recall, one line per distinct setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.style import GREY, apply_style, label, line_style
from tfrs_pretrain.reporting.text.curves import has_same_loss, stage_one_label


def heldout_loss(results: Mapping[str, Any]) -> go.Figure | None:
    """Draw the contrastive loss by epoch; epoch 0 is before training. None if no setting was trained.

    A single setting is drawn with its training loss. Of several, those with another loss than the study's
    configuration are left out.
    """
    settings = results["stage_one"].get("settings", [])
    if len(settings) > 1:
        settings = [setting for setting in settings if has_same_loss(setting)]
    figure = _lines(settings, "heldout_loss", "contrastive loss (nats)")
    if figure is not None and len(settings) == 1:
        _add_training_loss(figure, settings[0])
    return figure


def recall(results: Mapping[str, Any]) -> go.Figure | None:
    """Draw the recall over all items at the largest cutoff by epoch; None if it was not measured."""
    settings = results["stage_one"].get("settings", [])
    cutoffs = {int(key.partition("@")[2]) for setting in settings for epoch in setting["epochs"] for key in epoch
               if key.startswith("recall@")}
    if not cutoffs:
        return None
    figure = _lines(settings, f"recall@{max(cutoffs)}", f"recall@{max(cutoffs)}")
    return None if figure is None else figure.update_yaxes(rangemode="tozero")


def _points(setting: Mapping[str, Any], metric: str) -> tuple[list[int], list[float]]:
    """Return the epochs in which a metric is defined, and its values."""
    epochs = [epoch for epoch in setting["epochs"] if epoch.get(metric) is not None]
    return [epoch["epoch"] for epoch in epochs], [epoch[metric] for epoch in epochs]


def _lines(settings: Sequence[Mapping[str, Any]], metric: str, title: str) -> go.Figure | None:
    figure = go.Figure()
    for index, setting in enumerate(settings):
        (x, y), (colour, dash) = _points(setting, metric), line_style(index)
        if len(x) > 1:
            figure.add_scatter(x=x, y=y, name=label(stage_one_label(setting)), mode="lines+markers",
                               line={"color": colour, "dash": dash}, hovertemplate="%{y:.4f}")
    if not figure.data:
        return None
    figure = apply_style(figure, x="epoch", y=title, height=340 + 14 * max(len(figure.data) - 2, 0))
    if max(len(setting["epochs"]) for setting in settings) <= 13:
        figure.update_xaxes(dtick=1)
    return figure.update_layout(showlegend=len(figure.data) > 1)


def _add_training_loss(figure: go.Figure, setting: Mapping[str, Any]) -> None:
    x, y = _points(setting, "train_loss")
    figure.data[0].name = "held-out engagements"
    figure.add_scatter(x=x, y=y, mode="lines+markers", name="training engagements (mean of the epoch)",
                       line={"color": GREY, "dash": "dot"}, hovertemplate="%{y:.4f}")
    figure.update_layout(showlegend=True)
