"""A comparison as text: a line for the equal contents of each folder, and a line for each content that differs."""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath

from sameness.comparison import SAME, Outcome

DIGITS = 12  # of a digest
MAX_LINES, MAX_LINES_OF_FILE = 60, 4  # of differences


def lines(outcomes: Sequence[Outcome], not_compared: Sequence[str]) -> list[str]:
    """Returns the lines of the table; of many differences the first ones."""
    different = [outcome for outcome in outcomes if outcome.verdict != SAME]
    shown = _first_of_each_file(different)[:MAX_LINES]
    rows = [("what", "verdict", "base", "here", "largest difference"), *_same_folders(outcomes), *map(_row, shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    table = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
             for row in rows]
    if len(different) > len(shown):
        files = len({outcome.file for outcome in different})
        table.append(f"... and {len(different) - len(shown)} more; {len(different)} in {files} files differ")
    if not_compared:
        suffixes = sorted({PurePosixPath(path).suffix or PurePosixPath(path).name for path in not_compared})
        table.append(f"not compared: {len(not_compared)} files of types {' '.join(suffixes)}")
    return table


def _same_folders(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """Returns a row for the equal contents of each folder; their digests are combined."""
    folders: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.verdict == SAME:
            folders.setdefault(str(PurePosixPath(outcome.file).parent), []).append(outcome)
    found = []
    for folder, same in sorted(folders.items()):
        files = len({outcome.file for outcome in same})
        digest = hashlib.sha256("".join(outcome.base for outcome in same).encode()).hexdigest()[:DIGITS]
        found.append((f"{folder} ({len(same)} contents of {files} files)", SAME, digest, digest, ""))
    return found


def _first_of_each_file(outcomes: Sequence[Outcome]) -> list[Outcome]:
    counts: collections.Counter[str] = collections.Counter()
    found = []
    for outcome in outcomes:
        counts[outcome.file] += 1
        if counts[outcome.file] <= MAX_LINES_OF_FILE:
            found.append(outcome)
    return found


def _row(outcome: Outcome) -> tuple[str, ...]:
    note = "" if outcome.fails else " (does not count)"
    return (f"{outcome.file}: {outcome.name}", outcome.verdict + note, outcome.base[:DIGITS], outcome.here[:DIGITS],
            outcome.difference)
