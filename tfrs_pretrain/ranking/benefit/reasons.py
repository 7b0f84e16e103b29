"""The likeliest reason why pretraining does not pay, from a table of rules.

The limits are this project's own choice: rough values below which pretrained rows rarely helped on its logs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tfrs_pretrain.ranking.benefit.facts import TransferFacts

MIN_COVERAGE = 0.7  # share of the training impressions with a pretrained row
MAX_AGE = 0.25  # age of the rows, relative to the length of the pretraining window
MIN_ENGAGEMENTS = 10  # median per id
MIN_R2, FULL_COVERAGE = 0.05, 0.95  # the prediction of unknown ids matters only where some ids are unknown


class Reason(NamedTuple):
    """A reason and its remedy.

    Attributes:
      name: key in manifests and results.
      text: what was measured.
      advice: what to try.
    """

    name: str
    text: str
    advice: str


class Rule(NamedTuple):
    """One line of the table.

    Attributes:
      name: name of the reason.
      check: returns what was measured, if it explains why pretraining does not pay; otherwise None.
      advice: what to try.
    """

    name: str
    check: Callable[[TransferFacts], str | None]
    advice: str


def likeliest_reason(facts: TransferFacts) -> Reason:
    """Return the first reason of the table that the facts support."""
    found = ((rule, rule.check(facts)) for rule in RULES)
    return next((Reason(rule.name, text, rule.advice) for rule, text in found if text), UNKNOWN)


def _lowest_space(values: Mapping[str, float], limit: float) -> str | None:
    """Return the ID space with the lowest value, if that is below the limit."""
    space = min(values, key=values.__getitem__, default=None)
    return None if space is None or values[space] >= limit else space


def _coverage(facts: TransferFacts) -> str | None:
    space = _lowest_space(facts.coverage, MIN_COVERAGE)
    return space and f"only {facts.coverage[space]:.0%} of the training impressions have a pretrained {space}"


def _age(facts: TransferFacts) -> str | None:
    if not facts.age or facts.age <= MAX_AGE * facts.pretrain_length:
        return None
    unit = facts.age_unit if facts.age_unit == "days" else f"steps of {facts.age_unit}"
    return f"the last engagement is {facts.age:,.3g} {unit} older than the first training impression"


def _engagements(facts: TransferFacts) -> str | None:
    space = _lowest_space(facts.engagements_per_id, MIN_ENGAGEMENTS)
    return space and f"half of the {space}s have at most {facts.engagements_per_id[space]:,.3g} engagements"


def _cold_rows(facts: TransferFacts) -> str | None:
    weak = {space: r2 for space, r2 in facts.cold_r2.items()
            if (r2 is None or r2 < MIN_R2) and facts.coverage.get(space, 1.0) < FULL_COVERAGE}
    if not weak:
        return None
    space, r2 = min(weak.items(), key=lambda entry: facts.coverage[entry[0]])
    share = f"{1 - facts.coverage[space]:.0%} of the training impressions have a new {space}"
    return f"{share}, " + ("and it has no side features to predict its row from" if r2 is None else
                           f"and side features hardly predict its row (R² {r2:.3f})")


RULES = (
    Rule("coverage", _coverage,
         "widen windows.pretrain, end it later, lower min_count of the ids, or start new ids at the rows that side "
         "features predict (cold_rows: features of the arm's transfer)"),
    Rule("age", _age,
         "end windows.pretrain where windows.train starts, and shorten both if the ids live briefly"),
    Rule("few_engagements", _engagements,
         "widen windows.pretrain, add further kinds of engagements, or let rows with few engagements learn faster "
         "(a larger evidence or pretrained_learning_rate_scale of the arm's transfer)"),
    Rule("cold_rows", _cold_rows,
         "add features of the items and users tables that tell new ids apart, or start new ids at the mean row "
         "(cold_rows: mean of the arm's transfer)"),
)
UNKNOWN = Reason(
    "unknown", "coverage, age and engagements per id are sufficient, so the settings may not fit these data",
    "another temperature or number of epochs of Stage I, or fresh_dim or a larger pretrained_learning_rate_scale of "
    "the arm's transfer, each compared on validation")
