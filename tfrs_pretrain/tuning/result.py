"""The result of a race, as written to ``tune.json`` and shown on the page and the console."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tfrs_pretrain.experiments.piece_costs import PieceCosts
from tfrs_pretrain.experiments.pieces import EMBEDDINGS, RANKER, Piece
from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER
from tfrs_pretrain.reporting.text.formats import metric_name
from tfrs_pretrain.tuning.candidates import DEFAULT
from tfrs_pretrain.tuning.decision import Difference
from tfrs_pretrain.tuning.race import Race, RungResult

CHOSEN = "chosen"


def contender(rungs: Sequence[RungResult]) -> tuple[str, int] | None:
    """Return the best candidate of the last rung that compares with the default over at least two seeds, and the rung.
    """
    for index in reversed(range(len(rungs))):
        names = [name for name in rungs[index].values if name != DEFAULT]
        if names and DEFAULT in rungs[index].values and len(rungs[index].seeds) > 1:
            return names[0], index
    return None


def rungs_json(rungs: Sequence[RungResult], metric: str) -> list[dict[str, Any]]:
    """Return each rung: its seeds, entries with the best first, and the candidates that were left out."""
    sign = -1 if metric in LOWER_IS_BETTER else 1
    found = []
    for rung in rungs:
        has_default = DEFAULT in rung.values
        entries = [{"name": name, "values": list(values), "mean": rung.mean(name), "kept": name in rung.kept,
                    "gain": sign * (rung.mean(name) - rung.mean(DEFAULT)) if has_default else None}
                   for name, values in rung.values.items()]
        found.append({"seeds": list(rung.seeds), "entries": entries, "left_out": dict(rung.left_out),
                      "joined": [name for name in rung.kept if name not in rung.values]})
    return found


def candidates_json(race: Race, rungs: Sequence[RungResult], chosen: str, costs: PieceCosts) -> dict[str, Any]:
    """Return name -> settings, outcome, number of seeds and seconds by stage."""
    seeds = {name: max((len(rung.seeds) for rung in rungs if name in rung.values), default=0) for name in race.arms}
    pieces = {name: _all_pieces(race, rungs, name) for name in race.arms}
    users = Counter(piece for needed in pieces.values() for piece in needed)
    return {name: {"settings": arm.candidates[0], "outcome": CHOSEN if name == chosen else _outcome(name, rungs),
                   "seeds": seeds[name], "seconds": {stage: costs.seconds(piece for piece in pieces[name]
                                                                          if piece.kind == kind)
                                                     for stage, kind in _STAGES.items()},
                   "shares_stage_one": any(users[piece] > 1 for piece in pieces[name] if piece.kind == EMBEDDINGS)}
            for name, arm in race.arms.items()}


_STAGES = {"stage_one": EMBEDDINGS, "stage_two": RANKER}


def _all_pieces(race: Race, rungs: Sequence[RungResult], name: str) -> list[Piece]:
    seeds = max((len(rung.seeds) for rung in rungs if name in rung.values or name in rung.left_out), default=0)
    return list(dict.fromkeys(need for ranker in race.pieces(name, seeds) for need in ranker.with_dependencies()))


def _outcome(name: str, rungs: Sequence[RungResult]) -> str:
    if name == DEFAULT:
        return "default"
    for number, rung in enumerate(rungs, 1):
        if name in rung.left_out:
            return f"left out of rung {number}: {rung.left_out[name]}"
        if name in rung.values and name not in rung.kept:
            return "in the last rung" if number == len(rungs) else f"dropped after rung {number}"
    return "not tried"


def decision_json(chosen: str, best: tuple[str, int] | None, difference: Difference | None, rungs: Sequence[RungResult],
                  metric: str) -> dict[str, Any]:
    """Return the decision, its reason in a sentence, and the figures that it rests on."""
    found: dict[str, Any] = {"chosen": chosen, "best": best and best[0],
                             "reason": _reason(best, difference, rungs, metric)}
    if best and difference:
        found |= {"rung": best[1] + 1, "seeds": list(rungs[best[1]].seeds), "gain": difference.gain,
                  "standard_error": difference.standard_error, "over_seeds": difference.over_seeds,
                  "over_users": difference.over_users}
    return found


def _reason(best: tuple[str, int] | None, difference: Difference | None, rungs: Sequence[RungResult],
            metric: str) -> str:
    if best is None or difference is None:
        return ("no candidate was compared with the default over two seeds in the time, so the default is kept: repeat "
                "the command with more --minutes")
    name, index = best
    order = "better" if difference.gain > 0 else "worse"
    figures = (f"{abs(difference.gain):.4f} {order} than the default in validation {metric_name(metric)} (standard "
               f"error {difference.standard_error:.4f}, {len(rungs[index].seeds)} seeds)")
    if difference.is_better:
        return f"candidate {name} is {figures}"
    return f"the best candidate, {name}, is {figures}; that is not beyond the standard error, so the default is kept"


def total_seconds(race: Race, rungs: Sequence[RungResult], costs: PieceCosts) -> dict[str, float]:
    """Return the seconds of all pieces by stage, each piece counted once."""
    pieces = dict.fromkeys(piece for name in race.arms for piece in _all_pieces(race, rungs, name))
    return {stage: costs.seconds(piece for piece in pieces if piece.kind == kind) for stage, kind in _STAGES.items()}
