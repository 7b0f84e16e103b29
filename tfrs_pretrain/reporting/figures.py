"""The report's plots, one function each. Colours that depend on light or dark come from the page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.arms import Arm, Difference
from tfrs_pretrain.reporting.formats import number, signed, words

# The baseline is grey; the others keep one colour each through the whole report. Readable on white and on black, and
# told apart with the usual colour deficiencies.
BASELINE = "#8a919c"
COLOURS = ("#3b82c4", "#d9822b", "#2a9d74", "#a86fc9", "#c2504f", "#7a8b2f")


def arm_colours(arms: Sequence[Arm]) -> dict[str, str]:
    """Arm -> colour; the first arm is the baseline."""
    others = {arm.name: COLOURS[position % len(COLOURS)] for position, arm in enumerate(arms[1:])}
    return {arms[0].name: BASELINE, **others}


def heldout_loss(epochs: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Stage I: held-out and training loss by epoch; epoch 0 is before training."""
    figure = go.Figure()
    for key, name, colour, dash in (("heldout_loss", "held-out engagements", COLOURS[0], "solid"),
                                    ("train_loss", "training engagements (mean of the epoch)", BASELINE, "dot")):
        points = [(epoch["epoch"], epoch[key]) for epoch in epochs if epoch.get(key) is not None]
        figure.add_scatter(x=[x for x, _ in points], y=[y for _, y in points], name=name, mode="lines+markers",
                           line={"color": colour, "dash": dash}, hovertemplate="%{y:.4f}")
    return _styled(figure, x="epoch", y="contrastive loss (nats)", whole_x=len(epochs))


def recall(epochs: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Stage I: recall over the whole corpus by epoch, one line a cut-off."""
    figure = go.Figure()
    cutoffs = sorted({int(key.partition("@")[2]) for epoch in epochs for key in epoch if key.startswith("recall@")})
    for cutoff, colour in zip(cutoffs, COLOURS * (1 + len(cutoffs) // len(COLOURS)), strict=False):
        points = [(epoch["epoch"], epoch[f"recall@{cutoff}"]) for epoch in epochs
                  if epoch.get(f"recall@{cutoff}") is not None]
        figure.add_scatter(x=[x for x, _ in points], y=[y for _, y in points], name=f"recall@{cutoff}",
                           mode="lines+markers", line={"color": colour}, hovertemplate="%{y:.4f}")
    figure = _styled(figure, x="epoch", y="recall", whole_x=len(epochs))
    return figure.update_yaxes(rangemode="tozero")


def auc_by_frequency(rows: Sequence[Mapping[str, Any]], arms: Sequence[Arm]) -> go.Figure:
    """Test AUC by how often the item was engaged with in the pretraining window, one bar an arm."""
    figure = go.Figure()
    for arm, colour in arm_colours(arms).items():
        figure.add_bar(x=[row["slice"] for row in rows], y=[row["auc"][arm] for row in rows], name=_label(arm),
                       marker={"color": colour}, hovertemplate="%{y:.4f}")
    figure = _styled(figure, x="engagements of the item while pretraining", y="test AUC")
    known = [value for row in rows for value in row["auc"].values() if value is not None]
    low = min([0.5, *known])
    # From chance upwards; bars that start at 0 would hide what there is to see.
    figure.update_yaxes(range=[0.5 if low == 0.5 else max(low - 0.05, 0), min(max([0.6, *known]) + 0.02, 1)])
    return figure.update_xaxes(type="category").update_layout(barmode="group", bargap=0.25, bargroupgap=0.06)


def auc_differences(differences: Mapping[str, Difference], arms: Sequence[Arm]) -> go.Figure:
    """Difference of test AUC to the baseline with its 95 % interval, one row an arm."""
    figure, colours, shown = go.Figure(), arm_colours(arms), []
    for name, change in reversed(list(differences.items())):
        value, low, high = change.auc.value, change.auc.low, change.auc.high
        if value is None:
            continue
        low, high = (value if low is None else low), (value if high is None else high)
        shown += [low, value, high]
        figure.add_scatter(
            x=[value], y=[_label(name)], name=_label(name), mode="markers+text", text=[signed(value)],
            textposition="top center", marker={"color": colours[name], "size": 11}, cliponaxis=False,
            error_x={"array": [high - value], "arrayminus": [value - low], "thickness": 2, "width": 7},
            hovertemplate="%{x:+.4f}")
    figure = _styled(figure, x=f"test AUC minus {_label(arms[0].name)}", y="")
    figure.add_vline(x=0, line={"color": BASELINE, "dash": "dash", "width": 1})
    reach = 1.25 * max([1e-3, *map(abs, shown)])
    low = -reach if min(shown) < 0 else 0
    figure.update_xaxes(range=[min(low, -0.06 * reach), reach], tickformat="+.3f", nticks=6)
    figure.update_yaxes(range=[-0.6, len(shown) // 3 - 0.4], showgrid=False)
    return figure.update_layout(showlegend=False, height=110 + 20 * len(shown), hovermode="closest", margin={"t": 12})


def validation_by_epoch(arms: Sequence[Arm], metric: str, title: str) -> go.Figure:
    """Stage II: a validation metric after each epoch, one line an arm."""
    figure, colours = go.Figure(), arm_colours(arms)
    for arm in arms:
        epochs = arm.manifest["epochs"]
        figure.add_scatter(x=[epoch["epoch"] for epoch in epochs], y=[epoch["validation"][metric] for epoch in epochs],
                           name=_label(arm.name), mode="lines+markers", line={"color": colours[arm.name]},
                           hovertemplate="%{y:.4f}")
    return _styled(figure, x="epoch", y=title, whole_x=max(len(arm.manifest["epochs"]) for arm in arms))


def seconds(stages: Mapping[str, float]) -> go.Figure:
    """Wall-clock time by stage."""
    figure = go.Figure()
    names = list(stages)
    figure.add_bar(x=[stages[name] for name in names], y=[_label(name) for name in names], orientation="h",
                   marker={"color": COLOURS[0]}, text=[f"{number(stages[name], 1)} s" for name in names],
                   textposition="outside", cliponaxis=False, hovertemplate="%{x:.1f} s")
    figure = _styled(figure, x="wall-clock time (s)", y="")
    figure.update_xaxes(range=[0, 1.2 * max([0.1, *stages.values()])])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure.update_layout(showlegend=False, height=80 + 34 * len(names), hovermode="closest", margin={"t": 8})


def _styled(figure: go.Figure, *, x: str, y: str, whole_x: int = 0) -> go.Figure:
    """Axis titles and room for them; ``whole_x`` points on x that are whole numbers."""
    figure.update_layout(
        template="none", height=340, hovermode="x unified", margin={"l": 62, "r": 16, "t": 44, "b": 52},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "title": None},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    font = {"size": 13}
    figure.update_xaxes(title={"text": x, "standoff": 12, "font": font}, automargin=True, showgrid=False,
                        zeroline=False)
    figure.update_yaxes(title={"text": y, "standoff": 10, "font": font}, automargin=True, zeroline=False)
    if whole_x and whole_x <= 13:
        figure.update_xaxes(dtick=1)
    return figure


def _label(name: str) -> str:
    """A name as plotly shows it: it reads labels as a kind of HTML."""
    return html.escape(words(name), quote=False)
