"""Counts of a log's rows by outcome: read = kept + rejected + filtered."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any

import apache_beam as beam


@dataclasses.dataclass(frozen=True)
class Account:
    """Numbers of rows by outcome. They may be negative: a later step corrects the counts of an earlier one.

    Attributes:
      read: number of rows in the source.
      kept: number of rows by split.
      rejected: number of bad rows by reason.
      filtered: number of good rows that the configuration excludes, by reason.
      low, high: range of the window column's values that are not null; None if there are none.
      present: columns that at least one row has.
      times: number of rows by form of their time, see ``times.Times.forms``.
      first, last: range of the normalized times; None if there are none.
      windows: number of rows by form of their value in the window column.
    """

    read: int = 0
    kept: Counter[str] = dataclasses.field(default_factory=Counter)
    rejected: Counter[str] = dataclasses.field(default_factory=Counter)
    filtered: Counter[str] = dataclasses.field(default_factory=Counter)
    low: int | None = None
    high: int | None = None
    present: frozenset[str] = frozenset()
    times: Counter[str] = dataclasses.field(default_factory=Counter)
    first: int | None = None
    last: int | None = None
    windows: Counter[str] = dataclasses.field(default_factory=Counter)

    def __add__(self, other: "Account") -> "Account":
        return Account(self.read + other.read, _add(self.kept, other.kept), _add(self.rejected, other.rejected),
                       _add(self.filtered, other.filtered), _least(self.low, other.low),
                       _greatest(self.high, other.high), self.present | other.present, _add(self.times, other.times),
                       _least(self.first, other.first), _greatest(self.last, other.last),
                       _add(self.windows, other.windows))


def _least(first: int | None, second: int | None) -> int | None:
    return min((value for value in (first, second) if value is not None), default=None)


def _greatest(first: int | None, second: int | None) -> int | None:
    return max((value for value in (first, second) if value is not None), default=None)


def _add(first: Counter[str], second: Counter[str]) -> Counter[str]:
    # Counter's + drops negative counts, which a later addition may make positive.
    total = Counter(first)
    total.update(second)
    return total


class SumAccounts(beam.CombineFn):
    """Adds up accounts and converts the sum to JSON types; counts that are not positive are dropped."""

    def create_accumulator(self) -> Account:
        return Account()

    def add_input(self, accumulator: Account, element: Account) -> Account:
        return accumulator + element

    def merge_accumulators(self, accumulators: Iterable[Account]) -> Account:
        return sum(accumulators, Account())

    def extract_output(self, accumulator: Account) -> dict[str, Any]:
        counts = {name: dict(+value) if isinstance(value, Counter) else value
                  for name, value in vars(accumulator).items()}
        return counts | {"present": sorted(accumulator.present)}
