"""Positions of the windows on a time axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.config import Windows


def timeline(windows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return name, text, left and width of each window; positions are percentages of the range of all windows."""
    parsed = Windows.model_validate(windows)
    named = {name: getattr(parsed, name) for name in ("pretrain", "train", "validation", "test")}
    first = min(window.bounds[0] for window in named.values())
    length = max(window.bounds[1] for window in named.values()) - first
    return [{"name": name, "text": str(window), "left": round(100 * (window.bounds[0] - first) / length, 2),
             "width": round(100 * (window.bounds[1] - window.bounds[0]) / length, 2)}
            for name, window in named.items()]
