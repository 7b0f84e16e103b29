"""Expand the arm definitions of an experiment file into arms with complete settings."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.definition import ArmDefinition, BestOf, Experiment, Settings
from tfrs_pretrain.names import check_folder_name, repeated


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to train. With several candidates, the settings are still to be chosen.

    Attributes:
      name: unique in the experiment.
      definition: name of the file entry that defines the arm.
      candidates: settings to choose from, each complete: dotted key -> value.
      teacher: name of the arm whose ranker teaches this one. None: no other arm.
    """

    name: str
    definition: str
    candidates: tuple[Settings, ...]
    teacher: str | None


def expand(experiment: Experiment) -> list[Arm]:
    """Return all arms in the order of the file.

    Raises:
      UserError: two arms have the same name, or a baseline, a teacher or an arm of the goal is not among the arms.
    """
    arms = [arm for name, definition in experiment.arms.items() for arm in _expanded(name, definition)]
    if twice := repeated(arm.name for arm in arms):
        raise UserError(f"experiment: {twice[0]!r} is the name of several arms: rename the entries that define "
                        "them")
    baselines(experiment, arms)
    if goal := experiment.goal:
        _named(arms, [goal.arm, goal.best], "experiment: goal")
    known = {arm.name: arm for arm in arms}
    for arm in arms:
        _check_teacher(arm, known)
    return arms


def baselines(experiment: Experiment, arms: Sequence[Arm]) -> list[str]:
    """Return the names of the arms that may be the baseline of differences.

    Raises:
      UserError: one is not among the arms.
    """
    names = experiment.baseline.best_of if isinstance(experiment.baseline, BestOf) else [experiment.baseline]
    return [arm.name for arm in _named(arms, names, "experiment: baseline")]


def selected(arms: Sequence[Arm], requested: Sequence[str], baseline: Sequence[str]) -> list[Arm]:
    """Return the requested arms, their teachers and, unless a baseline is requested, all baselines.

    Args:
      arms: all arms of the experiment.
      requested: names of arms or of the entries that define them. Empty: all arms.
      baseline: names of the possible baselines.

    Raises:
      UserError: a requested arm does not exist.
    """
    if not requested:
        return list(arms)
    names = {arm.name for arm in _named(arms, requested, "--arm")}
    names |= set() if names & set(baseline) else set(baseline)
    names |= {arm.teacher for arm in arms if arm.name in names and arm.teacher}
    return [arm for arm in arms if arm.name in names]


def _named(arms: Sequence[Arm], names: Sequence[str], where: str) -> list[Arm]:
    """Return the arms whose name, or whose definition's name, is in ``names``."""
    known = {name for arm in arms for name in (arm.name, arm.definition)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"{where} {unknown[0]!r} is not one of the arms {[arm.name for arm in arms]}")
    return [arm for arm in arms if {arm.name, arm.definition} & set(names)]


def _expanded(name: str, definition: ArmDefinition) -> Iterator[Arm]:
    for settings in _products(definition.each):
        suffixes = [_name_part(value, definition.each[key]) for key, value in settings.items()]
        full = "_".join([name, *suffixes])
        try:
            check_folder_name(full)
        except ValueError as error:
            raise UserError(f"experiment: arm {full!r} is not a valid folder name ({error}): use other values in each"
                            ) from error
        candidates = definition.choose if isinstance(definition.choose, list) else _products(definition.choose)
        yield Arm(full, name, tuple({**definition.set, **settings, **candidate} for candidate in candidates or [{}]),
                  definition.teacher)


def _products(choices: Mapping[str, Sequence[Any]]) -> list[Settings]:
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def _name_part(value: Any, values: Sequence[Any]) -> str:
    """Return the value as text; for a list or a mapping, its position among ``values``."""
    return str(values.index(value) + 1) if isinstance(value, dict | list) else str(value)


def _check_teacher(arm: Arm, known: Mapping[str, Arm]) -> None:
    if arm.teacher is None:
        return
    teacher = known.get(arm.teacher)
    if teacher is None or teacher.teacher or len(teacher.candidates) > 1:
        raise UserError(f"experiment: teacher {arm.teacher!r} of arm {arm.name!r} must be another arm, one without a "
                        "teacher of its own and without a choice of settings")
