"""Which arms are compared, by how much they differ, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tfrs_pretrain.evaluation.comparison import Comparison
from tfrs_pretrain.evaluation.multiple_testing import holm, normal_p_value
from tfrs_pretrain.evaluation.student_t import interval_over_seeds, p_value_over_seeds
from tfrs_pretrain.evaluation.verdict import BETTER, WORSE, verdict
from tfrs_pretrain.results.judged import RESAMPLING, run_name
from tfrs_pretrain.study import StudiedArm, Study

COMPARED = ("auc", "log_loss", "gauc")


def comparisons(study: Study, found: Comparison) -> list[dict[str, Any]]:
    """Every pair of ``compared_pairs`` as JSON: differences of the whole, corrected for their number, and of AUC by
    slice."""
    compared = [_described(found, arm, against) for arm, against in compared_pairs(study)]
    for family in families(compared, study.baseline).values():
        for metric in COMPARED:
            _correct([entry[metric] for entry in family])
    return compared


def families(compared: Sequence[dict[str, Any]], baseline: str) -> dict[str, list[dict[str, Any]]]:
    """The comparisons that are corrected together, each metric by itself: all with the baseline, and all others."""
    return {"baseline": [entry for entry in compared if entry["against"] == baseline],
            "twins": [entry for entry in compared if entry["against"] != baseline]}


def _correct(changes: Sequence[dict[str, Any]]) -> None:
    """Adds p values: ``p``, the larger of both, because both must speak against chance, and ``p_corrected``."""
    for change in changes:
        change["p"] = max((p for p in (change["p_users"], change["p_seeds"]) if p is not None), default=None)
    corrected = holm([change["p"] for change in changes])
    alone = sum(p is not None for p in corrected) == 1
    for change, p in zip(changes, corrected, strict=True):
        change["p_corrected"] = p
        change["holds"] = change["verdict"] in (BETTER, WORSE) and (
            alone or (p is not None and p <= 1 - RESAMPLING.confidence))


def compared_pairs(study: Study) -> list[tuple[StudiedArm, StudiedArm]]:
    """Every arm with the baseline, and distilled ones with their twins; those that share no seed are left out."""
    arms = [arm for arm in study.arms if arm.runs]
    baseline = next(arm for arm in arms if arm.name == study.baseline)
    pairs = [(arm, baseline) for arm in arms if arm is not baseline]
    twins = [(arm, twin) for arm in arms if (twin := _undistilled(arm, arms)) and twin is not baseline]
    return [pair for pair in (*pairs, *twins) if _seeds(*pair)]


def multiplicity(compared: Sequence[dict[str, Any]], baseline: str) -> dict[str, Any]:
    """How many differences were judged, how they are corrected, and how many intervals would leave out 0 by chance."""
    whole = sum(entry[metric]["users"] is not None for entry in compared for metric in COMPARED)
    slices = sum(part["auc"]["users"] is not None
                 for entry in compared for parts in entry["slices"].values() for part in parts)
    return {"pairs": len(compared), "differences": whole, "differences_by_slice": slices,
            "correction": "Holm",
            "families": {name: len(family) for name, family in families(compared, baseline).items()},
            "expected_by_chance": round((1 - RESAMPLING.confidence) * (whole + slices), 2)}


def _described(found: Comparison, arm: StudiedArm, against: StudiedArm) -> dict[str, Any]:
    seeds = _seeds(arm, against)
    pairs = [(run_name(arm, seed), run_name(against, seed)) for seed in seeds]
    return {"arm": arm.name, "against": against.name, "seeds": seeds,
            **{metric: _change(found, pairs, 0, metric) for metric in COMPARED},
            "slices": slices(found, lambda part: {"auc": _change(found, pairs, part, "auc")})}


def slices(found: Comparison, describe: Callable[[int], dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Cut -> its parts in order, each with its counts and what ``describe`` says of it."""
    cuts: dict[str, list[dict[str, Any]]] = {}
    for place, part in enumerate(found.parts[1:], start=1):
        cuts.setdefault(part.slicing, []).append({
            "slice": part.name, "impressions": part.impressions, "positives": part.positives, "users": part.users,
            **describe(place)})
    return cuts


def _change(found: Comparison, pairs: Sequence[tuple[str, str]], part: int, metric: str) -> dict[str, Any]:
    whole = found.mean_difference(pairs, part)[metric]
    by_seed = [found.value(one, part, metric) - found.value(other, part, metric) for one, other in pairs]
    low, high = whole["low"], whole["high"]
    users = None if low is None or high is None else (low, high)
    seeds = None if whole["value"] is None else interval_over_seeds(by_seed, RESAMPLING.confidence)
    error = found.standard_error(pairs, metric, part)
    return {"value": whole["value"], "by_seed": None if whole["value"] is None else by_seed, "users": users,
            "seeds": seeds, "verdict": verdict(metric, whole["value"], [ends for ends in (users, seeds) if ends]),
            "p_users": None if error is None or whole["value"] is None else normal_p_value(whole["value"], error),
            "p_seeds": None if seeds is None else p_value_over_seeds(by_seed)}


def _seeds(arm: StudiedArm, against: StudiedArm) -> list[int]:
    """Seeds that both arms finished."""
    return [run.seed for run in arm.runs if run.seed in {other.seed for other in against.runs}]


def _undistilled(arm: StudiedArm, arms: Sequence[StudiedArm]) -> StudiedArm | None:
    """The arm that differs from a distilled one by distillation and by what either of them chose from trials."""
    if not distilled(arm):
        return None
    return next((other for other in arms if not distilled(other) and _same_but_for_choices(arm, other)), None)


def distilled(arm: StudiedArm) -> bool:
    """Whether a teacher takes part."""
    return any(_of_distillation(key) and value is not None for key, value in arm.settings.items())


def _of_distillation(key: str) -> bool:
    return key.partition(".distillation")[1] != ""


def _same_but_for_choices(arm: StudiedArm, other: StudiedArm) -> bool:
    chosen = {key for one in (arm, other) for trial in one.trials for key, value in trial.settings.items()
              if any(each.settings.get(key) != value for each in one.trials)}
    kept = [{key: value for key, value in one.settings.items()
             if key not in chosen and not _of_distillation(key) and value is not None} for one in (arm, other)]
    return kept[0] == kept[1]
