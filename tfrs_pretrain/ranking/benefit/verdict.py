"""Decide whether pretraining pays, from the differences of a ranker to one from scratch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import Estimate
from tfrs_pretrain.evaluation.evaluate import compare_predictions
from tfrs_pretrain.evaluation.predictions import Predictions, align
from tfrs_pretrain.evaluation.verdict import BETTER, UNDEFINED, WORSE, verdict
from tfrs_pretrain.ranking.benefit.facts import TransferFacts
from tfrs_pretrain.ranking.benefit.reasons import Reason, likeliest_reason

METRICS = {"auc": "AUC", "log_loss": "log loss"}
PAYS, NO_GAIN, LOSES, NOT_MEASURABLE = "pays", "does not pay", "loses", "not measurable"
RESAMPLING = Resampling(replicates=200)  # enough to tell whether 0 is outside
ARM, SCRATCH = "arm", "scratch"


@dataclasses.dataclass(frozen=True)
class Benefit:
    """Validation metrics of an arm with pretrained rows minus those of an arm from scratch.

    Attributes:
      arm: name of the arm.
      scratch: name or folder of what it was compared with.
      outcome: PAYS, NO_GAIN, LOSES or NOT_MEASURABLE.
      differences: metric of ``METRICS`` -> difference with the ends of its interval.
      reason: the likeliest reason; None if it pays or cannot be measured.
    """

    arm: str
    scratch: str
    outcome: str
    differences: dict[str, Estimate]
    reason: Reason | None

    @classmethod
    def judge(cls, arm: str, scratch: str, differences: Mapping[str, Estimate], facts: TransferFacts) -> Benefit:
        """Judge the differences; ``facts`` are those of the arm with pretrained rows."""
        found = outcome([verdict(metric, difference["value"], _intervals(difference))
                         for metric, difference in differences.items()])
        plain = {metric: Estimate(value=each["value"], low=each["low"], high=each["high"])
                 for metric, each in differences.items()}
        return cls(arm, scratch, found, plain, likeliest_reason(facts) if found in (NO_GAIN, LOSES) else None)

    def to_json(self) -> dict[str, Any]:
        """Return the fields, and ``line``, see ``line``."""
        return {**dataclasses.asdict(self), "reason": self.reason._asdict() if self.reason else None,
                "line": self.line}

    @property
    def line(self) -> str | None:
        """What to tell the user if pretraining does not pay; None if it pays or cannot be measured."""
        if self.reason is None:
            return None
        measured = ", ".join(f"{METRICS[metric]} {_signed(each)}" for metric, each in self.differences.items())
        verb = "loses to scratch" if self.outcome == LOSES else "does not pay"
        return (f"pretraining {verb} on these data: {self.arm} minus {self.scratch} on validation: {measured}. "
                f"Likeliest reason: {self.reason.text}. Try: {self.reason.advice}")


def outcome(verdicts: list[str]) -> str:
    """Return whether pretraining pays: better on one metric and worse on none. It loses in the opposite case."""
    if all(each == UNDEFINED for each in verdicts):
        return NOT_MEASURABLE
    better, worse = BETTER in verdicts, WORSE in verdicts
    return {(True, False): PAYS, (False, True): LOSES}.get((better, worse), NO_GAIN)


def compare_with_scratch(arm: Predictions, scratch: Predictions, facts: TransferFacts) -> Benefit:
    """Compare the validation predictions of two rankers, with intervals from draws of users.

    Raises:
      UserError: they share no impression, or a shared one has another label.
    """
    arm, scratch, _ = align(arm, scratch)
    differences = compare_predictions({ARM: arm, SCRATCH: scratch}, [], RESAMPLING).difference(ARM, SCRATCH)
    return Benefit.judge(arm.source["arm"], str(Path(scratch.source["path"])),
                         {metric: differences[metric] for metric in METRICS}, facts)


def _intervals(difference: Estimate) -> list[tuple[float, float]]:
    low, high = difference["low"], difference["high"]
    return [] if low is None or high is None else [(low, high)]


def _signed(difference: Estimate) -> str:
    value, low, high = difference["value"], difference["low"], difference["high"]
    if value is None or low is None or high is None:
        return "undefined"
    return f"{value:+.4f} [{low:+.4f}, {high:+.4f}]"
