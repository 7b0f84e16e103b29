"""Differences between an arm of a stream and its baseline: by window, over all later windows, by slice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrs_pretrain.evaluation.clustered import LOG_LOSS, clustered_error, mean_difference
from tfrs_pretrain.evaluation.multiple_testing import holm
from tfrs_pretrain.evaluation.series import SeriesMean
from tfrs_pretrain.evaluation.student_t import interval_over_seeds, p_value, p_value_over_seeds, t_quantile
from tfrs_pretrain.evaluation.verdict import BETTER, SAME, UNDEFINED, WORSE
from tfrs_pretrain.results.stream_scores import JudgedWindow

CONFIDENCE = 0.95


def window_difference(window: JudgedWindow, metric: str, arm: str, baseline: str, seeds: Sequence[int]
                      ) -> dict[str, Any]:
    """Return the difference in one window: mean, by seed, intervals over users, over seeds and over both.

    Both sources of variation are independent, so their variances add; the degrees of freedom are those of Welch and
    Satterthwaite (Biometrics Bulletin 2, 1946).
    """
    ours, theirs = (window.influences(metric, name, seeds) for name in (arm, baseline))
    by_seed = [one.value - other.value for one, other in zip(ours, theirs, strict=True)]
    value = float(np.mean(by_seed))
    if not math.isfinite(value):
        return {"value": None, "by_seed": None, "users": None, "seeds": None, "both": None, "p": None}
    users = clustered_error(mean_difference(ours, theirs).contributions, window.users)
    over_seeds = float(np.std(by_seed, ddof=1)) / math.sqrt(len(seeds)) if len(seeds) > 1 else None
    both, p = _combined(value, [(error, degrees) for error, degrees in (
        (users, len(np.unique(window.users)) - 1), (over_seeds, len(seeds) - 1)) if error is not None])
    return {"value": value, "by_seed": by_seed, "both": both, "p": p,
            "users": users and _interval(value, users, len(np.unique(window.users)) - 1),
            "seeds": interval_over_seeds(by_seed, CONFIDENCE)}


def _combined(value: float, errors: Sequence[tuple[float, int]]) -> tuple[tuple[float, float] | None, float | None]:
    """Return interval and p value of a value with independent errors, each with its degrees of freedom."""
    variance = sum(error**2 for error, _ in errors)
    if not errors or not variance:
        return None, None
    degrees = max(1, int(variance**2 / sum(error**4 / degrees for error, degrees in errors)))
    return _interval(value, math.sqrt(variance), degrees), p_value(value, math.sqrt(variance), degrees)


def _interval(value: float, error: float, degrees: int) -> tuple[float, float]:
    # From 200 degrees of freedom, Student's distribution is normal to three digits.
    half = t_quantile(CONFIDENCE, min(degrees, 200)) * error
    return value - half, value + half


def overall(windows: Sequence[Mapping[str, Any]], metric: str, seeds: Sequence[int]) -> dict[str, Any] | None:
    """Return the mean difference over the later windows with both tests, before correction.

    Args:
      windows: results of ``window_difference``, in order of time.
      metric: name of the metric.
      seeds: the seeds.

    Returns:
      None if a window has no difference. ``windows``: the test over windows, ``seeds``: the test over the seeds' means,
      ``p``: the larger p value, because both must exclude chance; ``better_windows``: windows that are better after
      Holm's correction over the windows; ``least``: the difference in the window where the arm gains least.
    """
    values = [window["value"] for window in windows]
    if not values or None in values:
        return None
    by_seed = [float(np.mean([window["by_seed"][index] for window in windows])) for index in range(len(seeds))]
    series = SeriesMean.of(values)
    p_seeds = p_value_over_seeds(by_seed)
    known = [p for p in (series.p, p_seeds) if p is not None]
    sign = -1 if metric == LOG_LOSS else 1
    corrected = holm([window["p"] for window in windows])
    return {
        "value": series.mean, "by_seed": by_seed,
        "windows": {"interval": series.interval(CONFIDENCE), "p": series.p, "degrees": series.degrees},
        "seeds": {"interval": interval_over_seeds(by_seed, CONFIDENCE), "p": p_seeds},
        "p": max(known, default=None), "least": sign * min(sign * value for value in values),
        "better_windows": sum(sign * value > 0 and p is not None and p <= 1 - CONFIDENCE
                              for value, p in zip(values, corrected, strict=True)),
        "num_windows": len(values)}


def with_verdicts(metric: str, entries: Mapping[str, dict[str, Any] | None]) -> dict[str, dict[str, Any] | None]:
    """Correct the p values of all arms for one metric, and add ``p_corrected`` and ``verdict``."""
    known = {arm: entry for arm, entry in entries.items() if entry}
    corrected = dict(zip(known, holm([entry["p"] for entry in known.values()]), strict=True))
    sign = -1 if metric == LOG_LOSS else 1
    done: dict[str, dict[str, Any] | None] = dict(entries)
    for arm, entry in known.items():
        p = corrected[arm]
        found = UNDEFINED if p is None else SAME if p > 1 - CONFIDENCE else (
            BETTER if sign * entry["value"] > 0 else WORSE)
        done[arm] = entry | {"p_corrected": p, "verdict": found}
    return done


def slice_differences(windows: Sequence[JudgedWindow], metric: str, arm: str, baseline: str, seeds: Sequence[int]
                      ) -> dict[str, list[dict[str, Any]]]:
    """Return slicing -> one entry per slice: the difference over all windows, weighted by impressions.

    The AUC of a slice ranks within the slice and the window.
    """
    parts: dict[tuple[str, str], list[tuple[int, list[float]]]] = {}
    for window in windows:
        for slicing in window.slicings:
            for part, name in enumerate(slicing.parts):
                inside = slicing.positions(part)
                entry = parts.setdefault((slicing.name, name), [])
                if len(inside):
                    entry.append((len(inside), _by_seed(_only(window, inside), metric, arm, baseline, seeds)))
    found: dict[str, list[dict[str, Any]]] = {}
    for (slicing_name, name), entries in parts.items():
        if entries:
            found.setdefault(slicing_name, []).append(_slice_entry(name, entries))
    return found


def _only(window: JudgedWindow, positions: np.ndarray) -> JudgedWindow:
    scores = {arm: {seed: each[positions] for seed, each in runs.items()} for arm, runs in window.scores.items()}
    weights = None if window.weights is None else window.weights[positions]
    return JudgedWindow(window.labels[positions], window.users[positions], weights, scores, ())


def _by_seed(window: JudgedWindow, metric: str, arm: str, baseline: str, seeds: Sequence[int]) -> list[float]:
    ours, theirs = (window.influences(metric, name, seeds) for name in (arm, baseline))
    return [one.value - other.value for one, other in zip(ours, theirs, strict=True)]


def _slice_entry(name: str, entries: Sequence[tuple[int, list[float]]]) -> dict[str, Any]:
    defined = [(size, values) for size, values in entries if all(map(math.isfinite, values))]
    entry: dict[str, Any] = {"slice": name, "impressions": sum(size for size, _ in entries), "value": None,
                             "seeds": None}
    if defined:
        by_seed = np.average([values for _, values in defined], axis=0, weights=[size for size, _ in defined]).tolist()
        entry |= {"value": float(np.mean(by_seed)), "seeds": interval_over_seeds(by_seed, CONFIDENCE)}
    return entry
