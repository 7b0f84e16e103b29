"""Collect the results of a stream as JSON.

``results.json`` of a stream::

    kind, format, title, name, code_version, baseline, seeds, commands, seconds, peak_rss_bytes, config, logs
    stream       section of the experiment; windows: start and end of each
    judged       one entry per judged window: number, start, end, impressions, positives, users, choosing (whether
                 settings were chosen on it), vocabulary (ID space -> kept, admitted, evicted, reused), dataset_seconds
    shown        arms of the figure
    arms         arm -> settings, trials, failures, seeds, evaluations, windows (auc and log_loss: mean and by seed;
                 seconds), later (means over the later windows)
    comparisons  arm -> auc and log_loss: windows (see ``window_difference``), later (see ``overall``), slices;
                 regret, targets
    regret       best (arm) and, for each arm, the log loss beyond it, summed over all judged impressions
    power        metric -> see ``power_table``

Later windows are those on which no setting was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import STREAM_KIND
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.evaluation.clustered import CLUSTERED_METRICS, LOG_LOSS
from tfrs_pretrain.evaluation.power import power_table
from tfrs_pretrain.evaluation.student_t import interval_over_seeds
from tfrs_pretrain.progress import progress
from tfrs_pretrain.results.stream_differences import (
    CONFIDENCE,
    overall,
    slice_differences,
    window_difference,
    with_verdicts,
)
from tfrs_pretrain.results.stream_scores import JudgedWindow, read_window
from tfrs_pretrain.results.stream_targets import read_curve, targets
from tfrs_pretrain.stream_study import StreamedArm, StreamStudy
from tfrs_pretrain.version import __version__

FORMAT = 1
MOST_SHOWN = 6  # arms that a figure shows at first


def collect_stream(study: StreamStudy) -> dict[str, Any]:
    """Evaluate a stream and return its results.

    Raises:
      UserError: an artifact is missing, unfinished or damaged.
    """
    judged = len(study.windows) - 1
    with progress("evaluate the windows", total=judged, unit="windows") as meter:
        windows = []
        for position in range(judged):
            windows.append(read_window(study, position))
            meter.advance(1)
    arms = {arm.name: _arm(study, arm, windows) for arm in study.arms}
    finished = [arm for arm in study.arms if arm.runs]
    comparisons = _comparisons(study, finished, windows)
    return {
        "kind": STREAM_KIND, "format": FORMAT, "title": study.title, "name": study.config["name"],
        "code_version": __version__, "baseline": study.baseline, "commands": list(study.commands),
        "seeds": sorted({seed for arm in finished for seed in arm.runs}), "stream": dict(study.stream),
        "windows": [list(each) for each in study.windows], "judged": _judged(study, windows),
        "shown": [arm.name for arm in finished if arm.name != study.baseline][:MOST_SHOWN], "arms": arms,
        "comparisons": comparisons, "regret": _regret(study, finished, windows),
        "power": {metric: power_table([entry[metric]["later"]["by_seed"] for entry in comparisons.values()
                                       if entry[metric]["later"]]) for metric in CLUSTERED_METRICS},
        "config": dict(study.config), "logs": study.logs, "seconds": dict(study.seconds),
        "peak_rss_bytes": study.peak_rss_bytes}


def _judged(study: StreamStudy, windows: Sequence[JudgedWindow]) -> list[dict[str, Any]]:
    baseline = next(arm for arm in study.arms if arm.name == study.baseline)
    steps = next(iter(baseline.runs.values()))
    return [{
        "number": position + 2, "start": study.windows[position + 1][0], "end": study.windows[position + 1][1],
        "impressions": len(window.labels), "positives": int(window.labels.sum()),
        "users": len(np.unique(window.users)), "choosing": position < study.choosing,
        "vocabulary": Dataset.open(step.dataset).info.get("lifecycle", {}),
        "dataset_seconds": study.dataset_seconds[position],
    } for position, (window, step) in enumerate(zip(windows, steps, strict=True))]


def _arm(study: StreamStudy, arm: StreamedArm, windows: Sequence[JudgedWindow]) -> dict[str, Any]:
    by_window = [{seed: window.metrics(arm.name, seed) for seed in arm.runs} for window in windows] if arm.runs else []
    entries: list[dict[str, Any]] = []
    for position, found in enumerate(by_window):
        seconds = [steps[position].seconds for steps in arm.runs.values()]
        entries.append({metric: _mean([values[metric] for values in found.values()]) for metric in CLUSTERED_METRICS})
        entries[-1] |= {part: float(np.mean([each[part] for each in seconds])) for part in ("stage_one", "stage_two")}
    later = entries[study.choosing:]
    return {
        "settings": dict(arm.settings), "trials": [dict(trial) for trial in arm.trials], "seeds": list(arm.runs),
        "failures": [{"seed": failure.seed, "reason": failure.reason} for failure in arm.failures],
        "evaluations": study.evaluations.get(arm.name), "windows": entries,
        "later": {metric: float(np.mean([entry[metric]["mean"] for entry in later])) for metric in CLUSTERED_METRICS
                  if later and all(entry[metric]["mean"] is not None for entry in later)}}


def _mean(by_seed: Sequence[float]) -> dict[str, Any]:
    """Return mean and values; both None if a value is undefined."""
    defined = bool(np.isfinite(by_seed).all())
    return {"mean": float(np.mean(by_seed)) if defined else None, "by_seed": list(by_seed) if defined else None}


def _comparisons(study: StreamStudy, arms: Sequence[StreamedArm], windows: Sequence[JudgedWindow]
                 ) -> dict[str, dict[str, Any]]:
    baseline = next(arm for arm in arms if arm.name == study.baseline)
    shared = {arm.name: [seed for seed in arm.runs if seed in baseline.runs] for arm in arms if arm is not baseline}
    pairs = {name: seeds for name, seeds in shared.items() if seeds}
    curves = {arm.name: {seed: [read_curve(step) for step in steps[study.choosing:]]
                         for seed, steps in arm.runs.items()} for arm in arms}
    found: dict[str, dict[str, Any]] = {name: {"seeds": seeds, "targets": targets(
        curves[name], curves[study.baseline])} for name, seeds in pairs.items()}
    later = windows[study.choosing:]
    for metric in CLUSTERED_METRICS:
        differences = {name: [window_difference(window, metric, name, study.baseline, seeds) for window in windows]
                       for name, seeds in pairs.items()}
        verdicts = with_verdicts(metric, {
            name: overall(each[study.choosing:], metric, pairs[name]) for name, each in differences.items()})
        for name, seeds in pairs.items():
            found[name][metric] = {
                "windows": differences[name], "later": verdicts[name],
                "slices": slice_differences(later, metric, name, study.baseline, seeds)}
    return found


def _regret(study: StreamStudy, arms: Sequence[StreamedArm], windows: Sequence[JudgedWindow]) -> dict[str, Any]:
    """Return the log loss beyond that of the baseline and of the best arm, summed over all judged impressions."""
    losses = {arm.name: {seed: np.cumsum([len(window.labels) * window.metrics(arm.name, seed)[LOG_LOSS]
                                          for window in windows]) for seed in arm.runs} for arm in arms}
    best = min(losses, key=lambda name: float(np.mean([each[-1] for each in losses[name].values()])))
    impressions = int(sum(len(window.labels) for window in windows))
    return {"best": best, "impressions": impressions, "arms": {
        name: {against: _beyond(each, losses[other]) for against, other in (
            ("baseline", study.baseline), ("best", best))} for name, each in losses.items()}}


def _beyond(ours: Mapping[int, np.ndarray], theirs: Mapping[int, np.ndarray]) -> dict[str, Any] | None:
    """Return the running sum by window, mean over shared seeds, and the interval of the last over seeds."""
    differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    if not differences:
        return None
    return {"by_window": np.mean(differences, axis=0).tolist(),
            "seeds": interval_over_seeds([float(each[-1]) for each in differences], CONFIDENCE)}
