"""What the numbers say, in sentences: better, worse, or no difference that the test window can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.reporting.arms import Arm, Change, Difference, difference, distilled_twins
from tfrs_pretrain.reporting.formats import number, signed, words


def headline(arm: Arm, baseline: Arm, change: Difference) -> str:
    """The finding about one arm in a sentence without figures' small print."""
    name, base = _capital(words(arm.name)), words(baseline.name)
    if change.verdict == "undefined":
        return f"{name} and {base} cannot be compared: test AUC or its interval is undefined"
    values = f"{number(arm.test['auc'])} against {number(baseline.test['auc'])}"
    if change.verdict == "same":
        return f"{name} makes no measurable difference to {base}: test AUC {values}"
    verb = "ranks better than" if change.verdict == "better" else "ranks worse than"
    return f"{name} {verb} {base}: test AUC {values}{_log_loss_clause(change)}"


def sentence(arm: Arm, baseline: Arm, change: Difference) -> str:
    """The finding about one arm with differences and noise."""
    name, base = _capital(words(arm.name)), words(baseline.name)
    if change.verdict == "undefined":
        return f"{name}: not comparable with {base}, because test AUC or its interval is undefined."
    auc = f"{signed(change.auc.value)} ({signed(change.auc.low)} to {signed(change.auc.high)})"
    if change.verdict == "same":
        text = f"{name} makes no measurable difference to {base}: test AUC {auc}"
    elif change.verdict == "better":
        text = f"{name} raises test AUC over {base}: {auc}"
    else:
        text = f"{name} lowers test AUC below {base}: {auc}"
    loss = change.log_loss
    if loss.value is None:
        return text + "."
    ends = "" if loss.low is None else f", {signed(loss.low)} to {signed(loss.high)}"
    return f"{text}; log loss {_direction(loss)} ({signed(loss.value)}{ends})."


def distillation(arms: Sequence[Arm], results: Mapping[str, Any]) -> list[str]:
    """For each distilled arm, what it gains over the arm that differs from it by distillation alone."""
    return [sentence(arm, twin, difference(results, arm, twin)) for arm, twin in distilled_twins(arms)]


def stage_one(epochs: Sequence[Mapping[str, Any]]) -> str:
    """Whether Stage I's held-out loss kept falling."""
    losses = [epoch["heldout_loss"] for epoch in epochs]
    if len(losses) < 2:
        return "Stage I did not train: the rows are random."
    trained, path = len(losses) - 1, f"{number(losses[0], 3)} before training, {number(losses[-1], 3)} at the end"
    rises = [position for position in range(1, len(losses)) if losses[position] >= losses[position - 1]]
    if not rises:
        every = "its one epoch" if trained == 1 else f"every one of {trained} epochs"
        return f"Stage I's held-out loss fell in {every} ({path})."
    best = min(range(len(losses)), key=losses.__getitem__)
    where = ", ".join(str(epochs[position]["epoch"]) for position in rises)
    return (f"Stage I's held-out loss did not fall in every epoch: it rose or stood still in epoch {where} ({path}; "
            f"lowest {number(losses[best], 3)} at epoch {epochs[best]['epoch']}).")


def by_frequency(rows: Sequence[Mapping[str, Any]], arm: Arm, baseline: Arm) -> str | None:
    """Which items gain most and least; None where fewer than two buckets can be compared."""
    gains = [(row["auc"][arm.name] - row["auc"][baseline.name], row["slice"]) for row in rows
             if row["auc"][arm.name] is not None and row["auc"][baseline.name] is not None]
    if arm is baseline or len(gains) < 2:
        return None
    (least, where_least), (most, where_most) = min(gains), max(gains)
    return (f"{_capital(words(arm.name))} against {words(baseline.name)}: the largest difference is {signed(most)} on "
            f"items with {where_most} engagements, the smallest {signed(least)} on items with {where_least} "
            "engagements.")


def _log_loss_clause(change: Difference) -> str:
    loss = change.log_loss
    if loss.value is None:
        return ""
    agrees = not loss.sure or (loss.value < 0) == (change.verdict == "better")
    return f", {'with' if agrees else 'but'} {_direction(loss)} log loss"


def _direction(change: Change) -> str:
    if not change.sure or change.value is None:
        return "not measurably different"
    return "lower" if change.value < 0 else "higher"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
