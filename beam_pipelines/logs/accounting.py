"""Where the rows of a log went: read = kept + rejected + filtered."""

import dataclasses
from collections import Counter
from collections.abc import Iterable

import apache_beam as beam


@dataclasses.dataclass(frozen=True)
class Account:
    """Rows of a log, by what became of them. Counts may be negative where a later step takes rows back.

    Attributes:
      read: rows in the source.
      kept: rows by split.
      rejected: bad rows by reason.
      filtered: good rows that the configuration leaves out, by reason.
      low, high: range of the window column over rows where it is not null; None where there are no such rows.
    """

    read: int = 0
    kept: Counter[str] = dataclasses.field(default_factory=Counter)
    rejected: Counter[str] = dataclasses.field(default_factory=Counter)
    filtered: Counter[str] = dataclasses.field(default_factory=Counter)
    low: int | None = None
    high: int | None = None

    def __add__(self, other: "Account") -> "Account":
        lows = [account.low for account in (self, other) if account.low is not None]
        highs = [account.high for account in (self, other) if account.high is not None]
        return Account(self.read + other.read, _sum(self.kept, other.kept), _sum(self.rejected, other.rejected),
                       _sum(self.filtered, other.filtered), min(lows, default=None), max(highs, default=None))


def _sum(first: Counter[str], second: Counter[str]) -> Counter[str]:
    # The + of counters would drop what is below 0 for now.
    total = Counter(first)
    total.update(second)
    return total


class SumAccounts(beam.CombineFn):
    """Adds accounts up into plain JSON types."""

    def create_accumulator(self) -> Account:
        return Account()

    def add_input(self, accumulator: Account, element: Account) -> Account:
        return accumulator + element

    def merge_accumulators(self, accumulators: Iterable[Account]) -> Account:
        return sum(accumulators, Account())

    def extract_output(self, accumulator: Account) -> dict:
        return {name: dict(+value) if isinstance(value, Counter) else value
                for name, value in vars(accumulator).items()}
