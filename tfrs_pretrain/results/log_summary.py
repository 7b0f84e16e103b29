"""Results of one log in an experiment on several logs: metrics over seeds, and whether an arm reached its target."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrs_pretrain.evaluation.student_t import interval_over_seeds
from tfrs_pretrain.evaluation.verdict import BETTER, UNDEFINED, WORSE
from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER
from tfrs_pretrain.results.study_evaluation import RESAMPLING

METRICS = ("auc", "log_loss")


@dataclasses.dataclass(frozen=True)
class Target:
    """What an arm must reach.

    Attributes:
      arm: must not lose to the baseline.
      best: arm whose gain over the baseline it must mostly reach.
      share: least share of that gain.
    """

    arm: str
    best: str
    share: float


def summarize_log(results: Mapping[str, Any], target: Target | None) -> dict[str, Any]:
    """Summarize the results of one log.

    Args:
      results: content of ``results.json``.
      target: what an arm must reach; None: nothing.

    Returns:
      ``title``; ``baseline``; ``seeds``; ``arms``: name -> metric -> test mean with its interval over seeds, for the
      finished arms; ``verdicts``: name -> metric -> verdict against the baseline; ``settings``: name -> chosen settings
      of the arms that have candidates; ``target``, see ``judge``, None without one.
    """
    finished = {name: arm for name, arm in results["arms"].items() if "test" in arm}
    verdicts = {entry["arm"]: {metric: entry[metric]["verdict"] for metric in METRICS}
                for entry in results["comparisons"] if entry["against"] == results["baseline"]}
    return {"title": results["title"], "baseline": results["baseline"], "seeds": results["seeds"],
            "arms": {name: {metric: _over_seeds(arm["test"][metric]["by_seed"]) for metric in METRICS}
                     for name, arm in finished.items()},
            "verdicts": verdicts,
            "settings": {name: arm["settings"] for name, arm in finished.items() if arm["trials"]},
            "target": judge(results, verdicts, target) if target else None}


def summarize_stream_log(results: Mapping[str, Any]) -> dict[str, Any]:
    """Summarize the results of a stream over its later windows, with the entries of ``summarize_log``."""
    later = [index for index, window in enumerate(results["judged"]) if not window["choosing"]]
    finished = {name: arm for name, arm in results["arms"].items() if arm["windows"]}
    return {"title": results["title"], "baseline": results["baseline"], "seeds": results["seeds"],
            "arms": {name: {metric: _over_seeds(_means([arm["windows"][index][metric]["by_seed"] for index in later]))
                            for metric in METRICS} for name, arm in finished.items()},
            "verdicts": {name: {metric: (entry[metric]["later"] or {"verdict": UNDEFINED})["verdict"]
                                for metric in METRICS} for name, entry in results["comparisons"].items()},
            "settings": {name: arm["settings"] for name, arm in finished.items() if arm["trials"]}, "target": None}


def _means(by_window: Sequence[Sequence[float] | None]) -> list[float | None]:
    """Return the mean of each seed over windows; None if a window is undefined."""
    if None in by_window:
        return [None]
    return [float(value) for value in np.mean(np.array(by_window), axis=0)]


def judge(results: Mapping[str, Any], verdicts: Mapping[str, Mapping[str, str]], target: Target
          ) -> dict[str, Any]:
    """Decide whether an arm reached its target.

    Only a gain of the best arm that is beyond its interval counts: a share of noise means nothing.

    Returns:
      the fields of ``target``; ``loses``: whether the arm is worse than the baseline on a metric beyond its intervals;
      ``gain``: metric -> mean gains of ``arm`` and ``best``, positive if better; ``shares``: metric -> the arm's gain
      relative to the best arm's, None where that is not measurable; ``reached``: whether it does not lose and every
      share is large enough; None if an arm did not finish or no difference has an interval.
    """
    gains = {metric: {role: _gain(results, name, metric) for role, name in (
        ("arm", target.arm), ("best", target.best))} for metric in METRICS}
    found = {role: verdicts.get(name, {}) for role, name in (("arm", target.arm), ("best", target.best))}
    shares = {metric: _share(gain["arm"], gain["best"]) if found["best"].get(metric) == BETTER else None
              for metric, gain in gains.items()}
    loses = WORSE in found["arm"].values()
    known = all(any(verdict != UNDEFINED for verdict in each.values()) for each in found.values())
    enough = all(share >= target.share for share in shares.values() if share is not None)
    return {**dataclasses.asdict(target), "loses": loses, "gain": gains, "shares": shares,
            "reached": not loses and enough if known else None}


def _gain(results: Mapping[str, Any], arm: str, metric: str) -> float | None:
    """Return the mean difference to the baseline over the shared seeds, positive if the arm is better."""
    for entry in results["comparisons"]:
        if (entry["arm"], entry["against"]) == (arm, results["baseline"]) and entry[metric]["value"] is not None:
            return float(entry[metric]["value"] * (-1 if metric in LOWER_IS_BETTER else 1))
    return None


def _share(gain: float | None, best: float | None) -> float | None:
    return None if gain is None or not best else gain / best


def _over_seeds(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return the mean and the ends of Student's interval; None where undefined."""
    defined = [value for value in values if value is not None]
    if not defined or len(defined) < len(values):
        return {"mean": None, "low": None, "high": None}
    low, high = interval_over_seeds(defined, RESAMPLING.confidence) or (None, None)
    return {"mean": float(np.mean(defined)), "low": low, "high": high}
