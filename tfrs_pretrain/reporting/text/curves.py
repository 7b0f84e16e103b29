"""Curves over seeds, and labels for settings of Stage I."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrs_pretrain.reporting.text.formats import setting as format_setting

# Settings of Stage I that change how the held-out loss is minimized, but not the loss itself.
OPTIMIZATION = ("dim", "epochs", "optimizer", "learning_rate", "schedule", "warmup_steps", "embedding_l2",
                "interval_decay", "initial_scale")


def mean_curve(runs: Sequence[Mapping[str, Any]], metric: str) -> list[tuple[int, float]]:
    """Return (impressions seen, mean of a metric over runs), where every run has a point and all define the metric."""
    points = zip(*(run["curve"] for run in runs), strict=False)
    return [(int(each[0]["examples"]), float(np.mean([point[metric] for point in each])))
            for each in points if all(point[metric] is not None for point in each)]


def has_same_loss(setting: Mapping[str, Any]) -> bool:
    """Whether the held-out loss of a setting of Stage I is comparable with that of the study's configuration."""
    return all(key.startswith("windows.") or key.removeprefix("pretraining.") in OPTIMIZATION
               for key in setting["differs"])


def stage_one_label(setting: Mapping[str, Any]) -> str:
    """Return the differences of a setting of Stage I from the study's configuration, or "as configured"."""
    return ", ".join(format_setting(key.removeprefix("pretraining.").removeprefix("objective."), value)
                     for key, value in setting["differs"].items()) or "as configured"
