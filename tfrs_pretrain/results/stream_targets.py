"""Impressions that an arm of a stream needs to reach the best AUC of the baseline, window by window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import RANKER_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.stream_study import Step

Curve = Sequence[tuple[int, float]]


def read_curve(step: Step) -> Curve:
    """Return (impressions trained on in the window, AUC on a sample of the judged window); empty without evaluations.
    """
    curve: Sequence[Mapping[str, Any]] = read_manifest(step.ranker, RANKER_KIND).get("curve", [])
    return [(int(point["examples"]), float(point["auc"])) for point in curve if point["auc"] is not None]


def share_needed(ours: Curve, baseline: Curve) -> float | None:
    """Return the impressions that ``ours`` needs to reach the baseline's best AUC, relative to the baseline's.

    Returns:
      inf if it is never reached; None if a curve is empty.
    """
    if not ours or not baseline:
        return None
    target = max(value for _, value in baseline)
    needed = next((examples for examples, value in ours if value >= target), math.inf)
    return needed / next(examples for examples, value in baseline if value >= target)


def targets(ours: Mapping[int, Sequence[Curve]], baseline: Mapping[int, Sequence[Curve]]) -> dict[str, Any] | None:
    """Return the impressions needed relative to the baseline's, over windows and seeds.

    Args:
      ours, baseline: seed -> curve of each window.

    Returns:
      ``reached``, the share of windows and seeds that reach the baseline's best AUC; ``median`` of the shares of
      impressions; ``by_seed``, the median of each seed; ``by_window``, the median of each window. A median is None if
      half of its windows never reach it. None without evaluations within a window.
    """
    seeds = [seed for seed in ours if seed in baseline]
    shares = [[share_needed(*curves) for curves in zip(ours[seed], baseline[seed], strict=True)] for seed in seeds]
    if not shares or any(share is None for each in shares for share in each):
        return None
    table = np.array(shares, np.float64)
    return {"reached": float(np.isfinite(table).mean()), "median": _median(table),
            "by_seed": [_median(row) for row in table], "by_window": [_median(column) for column in table.T]}


def _median(values: np.ndarray) -> float | None:
    ordered = np.sort(values, axis=None)
    middle = ordered[[(len(ordered) - 1) // 2, len(ordered) // 2]]
    return float(middle.mean()) if np.isfinite(middle).all() else None
