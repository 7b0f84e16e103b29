"""Difference of AUC from the baseline by how often the id occurs in the pretraining window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from tfrs_pretrain.reporting.figures.style import GREY, apply_style, arm_colours, label

UNITS = {"item_frequency": "engagements of the item", "user_frequency": "engagements of the user"}


def difference_by_frequency(results: Mapping[str, Any], slicing: str) -> go.Figure | None:
    """Draw the arms shown first, with the wider of the two intervals; None with fewer than two buckets.

    Args:
      results: as documented in ``tfrs_pretrain.results``.
      slicing: a key of UNITS.
    """
    figure, colours, num_buckets = go.Figure(), arm_colours(results), 0
    for entry in results["comparisons"]:
        parts = [part for part in entry["slices"].get(slicing, ()) if part["auc"]["value"] is not None]
        if entry["against"] != results["baseline"] or entry["arm"] not in results["shown"] or not parts:
            continue
        num_buckets = max(num_buckets, len(parts))
        values = [part["auc"]["value"] for part in parts]
        intervals = [wider_interval(part["auc"]) for part in parts]
        figure.add_scatter(
            x=[part["slice"] for part in parts], y=values, name=label(entry["arm"]), mode="markers",
            marker={"color": colours[entry["arm"]], "size": 9},
            error_y={"array": [high - value for value, (_, high) in zip(values, intervals, strict=True)],
                     "arrayminus": [value - low for value, (low, _) in zip(values, intervals, strict=True)],
                     "thickness": 2, "width": 4},
            customdata=[[part["impressions"], part["positives"]] for part in parts],
            hovertemplate="%{y:+.4f} of %{customdata[0]:,} impressions, %{customdata[1]:,} positive")
    if num_buckets < 2:
        return None
    figure = apply_style(figure, x=f"{UNITS[slicing]} in the pretraining window", y="difference of test AUC")
    figure.add_hline(y=0, line={"color": GREY, "dash": "dash", "width": 1})
    figure.update_yaxes(tickformat="+.3f")
    return figure.update_xaxes(type="category").update_layout(scattermode="group", scattergap=0.55)


def wider_interval(difference: Mapping[str, Any]) -> tuple[float, float]:
    """Return the wider interval of a difference; the value twice if it has none."""
    intervals = [difference[name] for name in ("users", "seeds") if difference[name] is not None]
    low, high = max(intervals, key=lambda ends: ends[1] - ends[0], default=[difference["value"]] * 2)
    return low, high
