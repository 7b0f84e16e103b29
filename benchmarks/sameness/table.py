"""Prints a comparison: one line for each folder that is the same, one for each content that differs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath

from sameness.comparison import SAME, Outcome

DIGITS = 12  # of a digest
MAX_LINES = 60  # of differences


def lines(outcomes: Sequence[Outcome], not_compared: Sequence[str]) -> list[str]:
    """Returns the lines of the table."""
    different = [outcome for outcome in outcomes if outcome.verdict != SAME]
    rows = [("what", "verdict", "base", "here", "largest difference"), *_same_folders(outcomes),
            *(_row(outcome) for outcome in different[:MAX_LINES])]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    table = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
             for row in rows]
    if len(different) > MAX_LINES:
        table.append(f"... and {len(different) - MAX_LINES} more that differ")
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


def _row(outcome: Outcome) -> tuple[str, ...]:
    note = "" if outcome.fails else " (does not count)"
    return (f"{outcome.file}: {outcome.name}", outcome.verdict + note, outcome.base[:DIGITS], outcome.here[:DIGITS],
            outcome.difference)
