"""Pairs of arms to compare: each arm with the baseline, and each distilled arm with its twin without a teacher."""

from __future__ import annotations

from collections.abc import Sequence

from tfrs_pretrain.study import StudiedArm, Study


def compared_pairs(study: Study) -> list[tuple[StudiedArm, StudiedArm]]:
    """Return (arm, arm to compare it with): with the baseline first, then with twins; only pairs that share a seed."""
    arms = [arm for arm in study.arms if arm.runs]
    baseline = next(arm for arm in arms if arm.name == study.baseline)
    with_baseline = [(arm, baseline) for arm in arms if arm is not baseline]
    with_twins = [(arm, twin) for arm in arms if (twin := _twin(arm, arms)) and twin is not baseline]
    return [pair for pair in (*with_baseline, *with_twins) if shared_seeds(*pair)]


def shared_seeds(arm: StudiedArm, other: StudiedArm) -> list[int]:
    """Return the seeds that both arms finished, in the order of the first."""
    return [run.seed for run in arm.runs if run.seed in {each.seed for each in other.runs}]


def is_distilled(arm: StudiedArm) -> bool:
    """Whether the arm's settings name a teacher."""
    return any(_is_distillation_key(key) and value is not None for key, value in arm.settings.items())


def _twin(arm: StudiedArm, arms: Sequence[StudiedArm]) -> StudiedArm | None:
    """Return the first arm that differs from a distilled one by distillation and by values chosen from trials only."""
    if not is_distilled(arm):
        return None
    return next((other for other in arms if not is_distilled(other) and _is_twin(arm, other)), None)


def _is_twin(arm: StudiedArm, other: StudiedArm) -> bool:
    chosen = _chosen_keys(arm) | _chosen_keys(other)
    ours, theirs = ({key: value for key, value in each.settings.items()
                     if key not in chosen and not _is_distillation_key(key) and value is not None}
                    for each in (arm, other))
    return ours == theirs


def _chosen_keys(arm: StudiedArm) -> set[str]:
    """Return the settings in which the arm's trials differ."""
    return {key for trial in arm.trials for key, value in trial.settings.items()
            if any(each.settings.get(key) != value for each in arm.trials)}


def _is_distillation_key(key: str) -> bool:
    return ".distillation" in key
