"""Stage I by epoch: held-out loss and recall, a line for each distinct setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.styled import BASELINE, COLOURS, DASHES, label, styled
from tfrs_pretrain.reporting.text.curves import same_loss, stage_one_label


def heldout_loss(results: Mapping[str, Any]) -> go.Figure | None:
    """Contrastive loss by epoch; epoch 0 is before training. A single setting has its training loss beside it.

    Settings with another loss than the study's configuration are left out.
    """
    every = results["stage_one"].get("settings", [])
    settings = every if len(every) == 1 else [setting for setting in every if same_loss(setting)]
    figure = _lines(settings, "heldout_loss", "contrastive loss (nats)")
    if figure is None or len(settings) > 1:
        return figure
    points = [(epoch["epoch"], epoch["train_loss"]) for epoch in settings[0]["epochs"]
              if epoch.get("train_loss") is not None]
    figure.data[0].name = "held-out engagements"
    figure.add_scatter(x=[x for x, _ in points], y=[y for _, y in points], mode="lines+markers",
                       name="training engagements (mean of the epoch)", line={"color": BASELINE, "dash": "dot"},
                       hovertemplate="%{y:.4f}")
    return figure.update_layout(showlegend=True)


def recall(results: Mapping[str, Any]) -> go.Figure | None:
    """Recall over the whole corpus at the largest cut-off by epoch; None where it was not measured."""
    settings = results["stage_one"].get("settings", [])
    cutoffs = {int(key.partition("@")[2]) for setting in settings for epoch in setting["epochs"] for key in epoch
               if key.startswith("recall@")}
    if not cutoffs:
        return None
    figure = _lines(settings, f"recall@{max(cutoffs)}", f"recall@{max(cutoffs)}")
    return None if figure is None else figure.update_yaxes(rangemode="tozero")


def _lines(settings: list[dict[str, Any]], key: str, title: str) -> go.Figure | None:
    figure = go.Figure()
    for place, setting in enumerate(settings):
        points = [(epoch["epoch"], epoch[key]) for epoch in setting["epochs"] if epoch.get(key) is not None]
        if len(points) > 1:
            figure.add_scatter(x=[x for x, _ in points], y=[y for _, y in points], hovertemplate="%{y:.4f}",
                               name=label(stage_one_label(setting)), mode="lines+markers",
                               line={"color": COLOURS[place % len(COLOURS)],
                                     "dash": DASHES[place // len(COLOURS) % len(DASHES)]})
    if not figure.data:
        return None
    figure = styled(figure, x="epoch", y=title, height=340 + 14 * max(len(figure.data) - 2, 0))
    if max(len(setting["epochs"]) for setting in settings) <= 13:
        figure.update_xaxes(dtick=1)
    return figure.update_layout(showlegend=len(figure.data) > 1)
