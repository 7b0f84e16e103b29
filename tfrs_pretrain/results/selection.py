"""Which arms a report shows first: chosen by validation, never by test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.results.arms import REMEDY, SCRATCH, TWO_STAGE

# More lines than this cannot be told apart; the others can be switched on.
MOST = 6

Arms = Mapping[str, Mapping[str, Any]]


def headline_arm(arms: Arms, baseline: str, exported: Mapping[str, Any] | None) -> str:
    """The arm that the headline is about: the exported one, or that with the lowest validation log loss.

    The baseline itself only where there is no other.
    """
    if exported and exported["arm"] in arms and exported["arm"] != baseline and "test" in arms[exported["arm"]]:
        return str(exported["arm"])
    return best(arms, [name for name in arms if name != baseline]) or baseline


def shown_arms(arms: Arms, baseline: str, exported: Mapping[str, Any] | None) -> list[str]:
    """At most MOST arms in the order of the study: all, or the baseline, the headline's, the longest from scratch and
    the longest two-stage one, the best remedy, the best two-stage arms with and without a teacher, the next remedy."""
    finished = [name for name in arms if "test" in arms[name]]
    if len(finished) <= MOST:
        return finished
    of = {kind: [name for name in finished if arms[name]["kind"] == kind] for kind in (SCRATCH, REMEDY, TWO_STAGE)}
    wanted = [baseline, headline_arm(arms, baseline, exported), _longest(arms, of[SCRATCH]), best(arms, of[REMEDY]),
              _longest(arms, of[TWO_STAGE]), best(arms, [name for name in of[TWO_STAGE] if arms[name]["teacher"]]),
              best(arms, [name for name in of[TWO_STAGE] if not arms[name]["teacher"]]),
              best(arms, [name for name in of[REMEDY] if name != best(arms, of[REMEDY])])]
    kept = list(dict.fromkeys(name for name in wanted if name))[:MOST]
    return [name for name in finished if name in kept]


def _longest(arms: Arms, names: list[str]) -> str | None:
    """The first arm with most epochs, if that is more than one; None where there is none."""
    epochs = {name: max(run["epochs"] for run in arms[name]["runs"]) for name in names}
    longest = max(names, key=epochs.__getitem__, default=None)
    return longest if longest and epochs[longest] > 1 else None


def best(arms: Arms, names: list[str]) -> str | None:
    """The finished arm with the lowest mean validation log loss; None where there is none."""
    losses = {name: arms[name]["validation"]["log_loss"]["mean"] for name in names if "test" in arms[name]}
    known = {name: float(loss) for name, loss in losses.items() if loss is not None}
    return min(known, key=known.__getitem__, default=None)
