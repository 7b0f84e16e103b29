"""Curves over seeds, and names for settings of Stage I."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrs_pretrain.reporting.text.formats import setting_words


def mean_curve(runs: Sequence[Mapping[str, Any]], metric: str) -> list[tuple[int, float]]:
    """Impressions seen and mean of a metric over seeds, as far as every seed went on and where all define it."""
    curves = [run["curve"] for run in runs]
    return [(int(points[0]["examples"]), float(np.mean([point[metric] for point in points])))
            for points in zip(*curves, strict=False) if all(point[metric] is not None for point in points)]


# Settings of Stage I that change how a loss is brought down, not which loss it is.
HOW = ("dim", "epochs", "optimizer", "learning_rate", "schedule", "warmup_steps", "embedding_l2", "interval_decay",
       "initial_scale")


def same_loss(setting: Mapping[str, Any]) -> bool:
    """Whether a setting's held-out loss may be compared with that of the study's configuration."""
    return all(key.startswith("windows.") or key.removeprefix("pretraining.") in HOW for key in setting["differs"])


def stage_one_label(setting: Mapping[str, Any]) -> str:
    """What differs from the study's configuration, in a few words."""
    if not setting["differs"]:
        return "as configured"
    return ", ".join(setting_words(key.removeprefix("pretraining.").removeprefix("objective."), value)
                     for key, value in setting["differs"].items())
