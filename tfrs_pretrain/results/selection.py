"""Select the arms that a report shows first, on validation metrics only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.results.arm_kind import REMEDY, SCRATCH, TWO_STAGE

MAX_SHOWN = 6  # more lines in a figure are hard to tell apart; readers can switch on the others

Arms = Mapping[str, Mapping[str, Any]]


def headline_arm(arms: Arms, baseline: str, exported: Mapping[str, Any] | None) -> str:
    """Return the exported arm, or the arm with the lowest validation log loss.

    The baseline is the result only if no other arm finished.
    """
    if exported and exported["arm"] != baseline and "test" in arms.get(exported["arm"], {}):
        return str(exported["arm"])
    return best_arm(arms, [name for name in arms if name != baseline]) or baseline


def shown_arms(arms: Arms, baseline: str, exported: Mapping[str, Any] | None) -> list[str]:
    """Return at most ``MAX_SHOWN`` finished arms in the order of the study.

    By priority: the baseline, the headline arm, the longest arm from scratch, the best remedy, the longest two-stage
    arm, the best two-stage arms with and without a teacher, the second-best remedy.
    """
    finished = [name for name in arms if "test" in arms[name]]
    if len(finished) <= MAX_SHOWN:
        return finished
    scratch, remedies, two_stage = ([name for name in finished if arms[name]["kind"] == kind]
                                    for kind in (SCRATCH, REMEDY, TWO_STAGE))
    best_remedy = best_arm(arms, remedies)
    by_priority = [
        baseline,
        headline_arm(arms, baseline, exported),
        _longest(arms, scratch),
        best_remedy,
        _longest(arms, two_stage),
        best_arm(arms, [name for name in two_stage if arms[name]["teacher"]]),
        best_arm(arms, [name for name in two_stage if not arms[name]["teacher"]]),
        best_arm(arms, [name for name in remedies if name != best_remedy]),
    ]
    selected = list(dict.fromkeys(name for name in by_priority if name))[:MAX_SHOWN]
    return [name for name in finished if name in selected]


def best_arm(arms: Arms, names: Sequence[str]) -> str | None:
    """Return the finished arm with the lowest mean validation log loss; None if there is none."""
    losses = {name: arms[name]["validation"]["log_loss"]["mean"] for name in names if "test" in arms[name]}
    defined = {name: float(loss) for name, loss in losses.items() if loss is not None}
    return min(defined, key=defined.__getitem__, default=None)


def _longest(arms: Arms, names: Sequence[str]) -> str | None:
    """Return the first of the arms with the most epochs; None if no arm has more than one epoch."""
    epochs = {name: max(run["epochs"] for run in arms[name]["runs"]) for name in names}
    longest = max(names, key=epochs.__getitem__, default=None)
    return longest if longest and epochs[longest] > 1 else None
