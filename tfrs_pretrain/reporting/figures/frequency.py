"""Where the gain comes from: difference of AUC by how often the id was seen while pretraining."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.styled import BASELINE, arm_colours, label, styled

UNITS = {"item_frequency": "engagements of the item", "user_frequency": "engagements of the user"}


def gain_by_frequency(results: Mapping[str, Any], cut: str) -> go.Figure | None:
    """Difference to the baseline in each bucket, with the wider of its two intervals; None with fewer than two."""
    figure, colours, buckets = go.Figure(), arm_colours(results), 0
    for entry in results["comparisons"]:
        parts = [part for part in entry["slices"].get(cut, ()) if part["auc"]["value"] is not None]
        if entry["against"] != results["baseline"] or entry["arm"] not in results["shown"] or not parts:
            continue
        buckets = max(buckets, len(parts))
        values = [part["auc"]["value"] for part in parts]
        ends = [widest(part["auc"]) for part in parts]
        figure.add_scatter(
            x=[part["slice"] for part in parts], y=values, name=label(entry["arm"]), mode="markers",
            marker={"color": colours[entry["arm"]], "size": 9},
            error_y={"array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
                     "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)],
                     "thickness": 2, "width": 4},
            customdata=[[part["impressions"], part["positives"]] for part in parts],
            hovertemplate="%{y:+.4f} of %{customdata[0]:,} impressions, %{customdata[1]:,} positive")
    if buckets < 2:
        return None
    figure = styled(figure, x=f"{UNITS[cut]} while pretraining", y="difference of test AUC")
    figure.add_hline(y=0, line={"color": BASELINE, "dash": "dash", "width": 1})
    figure.update_yaxes(tickformat="+.3f")
    return figure.update_xaxes(type="category").update_layout(scattermode="group", scattergap=0.55)


def widest(change: Mapping[str, Any]) -> tuple[float, float]:
    """Both ends of a difference's wider interval; the value itself where it has none."""
    intervals = [change[name] for name in ("users", "seeds") if change[name] is not None]
    low, high = max(intervals, key=lambda ends: ends[1] - ends[0], default=[change["value"]] * 2)
    return low, high
