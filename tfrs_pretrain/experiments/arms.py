"""From the arms of an experiment's file to arms with all their settings."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.definition import NAME, ArmDefinition, BestOf, Experiment, Settings


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to train, its settings still to be chosen where there are several candidates.

    Attributes:
      name: unique in the experiment.
      definition: name of the entry in the file that it comes from.
      candidates: settings to choose from, each of them all of the arm's own: dotted key -> value.
      teacher: arm whose ranker teaches this one.
    """

    name: str
    definition: str
    candidates: tuple[Settings, ...]
    teacher: str | None


def expand(experiment: Experiment) -> list[Arm]:
    """All arms, in the order of the file.

    Raises:
      UserError: two arms get one name, or a baseline or a teacher is not among the arms.
    """
    arms = [arm for name, definition in experiment.arms.items() for arm in _expanded(name, definition)]
    names = [arm.name for arm in arms]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"experiment: {repeated[0]!r} is the name of several arms: rename the entries that they come "
                        "from")
    baselines(experiment, arms)
    known = {arm.name: arm for arm in arms}
    for arm in arms:
        _check_teacher(arm, known)
    return arms


def baselines(experiment: Experiment, arms: Sequence[Arm]) -> list[str]:
    """The arms that differences may be to.

    Raises:
      UserError: one is not there.
    """
    wanted = experiment.baseline.best_of if isinstance(experiment.baseline, BestOf) else [experiment.baseline]
    return [arm.name for arm in _named(arms, wanted, "experiment: baseline")]


def selected(arms: Sequence[Arm], wanted: Sequence[str], baseline: Sequence[str]) -> list[Arm]:
    """The arms that are wanted, their teachers and, unless one of them is wanted too, the baselines.

    Args:
      arms: all of the experiment.
      wanted: names of arms, or of the entries that they come from; none: all arms.
      baseline: arms that differences may be to.

    Raises:
      UserError: a wanted one is not there.
    """
    if not wanted:
        return list(arms)
    kept = {arm.name for arm in _named(arms, wanted, "--arm")}
    kept |= set() if kept & set(baseline) else set(baseline)
    kept |= {arm.teacher for arm in arms if arm.name in kept and arm.teacher}
    return [arm for arm in arms if arm.name in kept]


def _named(arms: Sequence[Arm], wanted: Sequence[str], what: str) -> list[Arm]:
    """The arms that have one of these names, or whose entry has."""
    known = {name for arm in arms for name in (arm.name, arm.definition)}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UserError(f"{what} {unknown[0]!r} is not one of the arms {[arm.name for arm in arms]}")
    return [arm for arm in arms if {arm.name, arm.definition} & set(wanted)]


def _expanded(name: str, definition: ArmDefinition) -> Iterator[Arm]:
    for settings in _products(definition.each):
        words = [_word(value, definition.each[key]) for key, value in settings.items()]
        full = "_".join([name, *words])
        if not re.match(NAME, full):
            raise UserError(f"experiment: arm {full!r} is no good name for a folder: use other values in each")
        candidates = definition.choose if isinstance(definition.choose, list) else _products(definition.choose)
        yield Arm(full, name, tuple({**definition.set, **settings, **candidate} for candidate in candidates or [{}]),
                  definition.teacher)


def _products(choices: Mapping[str, Sequence[Any]]) -> list[Settings]:
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def _word(value: Any, values: Sequence[Any]) -> str:
    """A value as part of a name; its place where it is no plain value."""
    return str(values.index(value) + 1) if isinstance(value, dict | list) else str(value)


def _check_teacher(arm: Arm, known: Mapping[str, Arm]) -> None:
    if arm.teacher is None:
        return
    teacher = known.get(arm.teacher)
    if teacher is None or teacher.teacher or len(teacher.candidates) > 1:
        raise UserError(f"experiment: teacher {arm.teacher!r} of arm {arm.name!r} must be another arm, one without a "
                        "teacher of its own and without a choice of settings")
