"""Outcomes of the trials of the fault campaign, counted by kind of fault.

A trial injects one fault and looks at what the system did. Its outcome is one of three:

  held    the system did what it promises: it finished with the right result, or stopped with one clear line, and what
          was there before was intact
  lost    the fault was noticed, but not as promised: a traceback, a damaged old output, left files, work that is gone
  silent  a wrong result was accepted or produced without a word
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("tried", "held", "lost", "silent")


class Failure(NamedTuple):
    """A trial that did not hold."""

    outcome: str
    case: str
    reason: str

    def __str__(self) -> str:
        return f"{self.outcome}: {self.case}: {self.reason}"


class Outcomes:
    """Counts the outcomes of trials by kind of fault, and keeps the trials that did not hold."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._failures: dict[str, list[Failure]] = {}

    def held(self, kind: str) -> None:
        """Counts a trial in which the system did what it promises."""
        self._held[kind] = self._held.get(kind, 0) + 1

    def lost(self, kind: str, case: str, reason: str) -> None:
        """Counts a trial in which the fault was noticed, but not handled as promised.

        Args:
          kind: kind of fault, the label of the table's row.
          case: what repeats the trial (seed, number, file).
          reason: what happened instead.
        """
        self._failures.setdefault(kind, []).append(Failure("lost", case, reason))

    def silent(self, kind: str, case: str, reason: str) -> None:
        """Counts a trial with a wrong result that nothing reported; arguments as in ``lost``."""
        self._failures.setdefault(kind, []).append(Failure("silent", case, reason))

    def failures(self, kind: str) -> list[Failure]:
        """Returns the trials of a kind that did not hold."""
        return self._failures.get(kind, [])

    def require_all_held(self, kind: str, *, tried: int | None = None) -> None:
        """Fails the test of a kind of fault unless every trial held.

        Args:
          kind: kind of fault.
          tried: expected number of trials; by default at least one.

        Raises:
          AssertionError: a trial did not hold, or the number of trials is another.
        """
        counts = self.counts()[kind] if kind in self.counts() else dict.fromkeys(COLUMNS, 0)
        failures = self.failures(kind)
        shown = "".join(f"\n  {str(failure)[:1000]}" for failure in failures[:20])
        assert not failures, f"{kind}: {len(failures)} of {counts['tried']} trials did not hold{shown}"
        assert counts["tried"] == tried if tried is not None else counts["tried"], f"{kind}: {counts['tried']} trials"

    def counts(self) -> dict[str, dict[str, int]]:
        """Returns kind -> counts of ``COLUMNS``."""
        return {kind: self._counts(kind) for kind in dict.fromkeys([*self._held, *self._failures])}

    def _counts(self, kind: str) -> dict[str, int]:
        held, failures = self._held.get(kind, 0), self.failures(kind)
        silent = sum(failure.outcome == "silent" for failure in failures)
        return dict(zip(COLUMNS, (held + len(failures), held, len(failures) - silent, silent), strict=True))


def table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Returns the counts as a Markdown table, one row for each kind."""
    rows = [("fault", *COLUMNS), *((kind, *(f"{row[name]:,}" for name in COLUMNS)) for kind, row in counts.items())]
    label = max(len(row[0]) for row in rows)
    lines = ["| " + " | ".join([row[0].ljust(label), *(cell.rjust(6) for cell in row[1:])]) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "-" * (label + 2) + "|" + "-------:|" * len(COLUMNS), *lines[1:]])


def save(path: Path, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Writes the counts to a JSON file; kinds that are only in the file stay."""
    earlier = json.loads(path.read_text()) if path.is_file() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(earlier | counts, indent=2) + "\n")
