"""The console while an experiment runs: a line for each finished piece, a bar, and what each worker does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.progress import console


class Board:
    """What ``watching`` yields."""

    def __init__(self, progress: Progress, total: int):
        self._progress, self._total, self._done = progress, total, 0
        self._all = progress.add_task("pieces", total=total, note="")
        self._lines: dict[Piece, TaskID] = {}

    def started(self, piece: Piece) -> None:
        self._lines[piece] = self._progress.add_task(piece.title, total=None, note="")

    def finished(self, piece: Piece, seconds: float, left: float | None) -> None:
        """Counts a piece; ``left`` seconds remain, if that can be told."""
        self._remove(piece)
        self._done += 1
        note = "" if left is None else f"about {duration(left)} left"
        self._progress.update(self._all, completed=self._done, note=note)
        facts = " · ".join(fact for fact in (f"{seconds:.1f} s", f"{self._done}/{self._total}", note) if fact)
        console.print(Text("✓ ", style="green").append(piece.title, style="not green").append(
            f"  {facts}", style="dim not green"), soft_wrap=True)

    def failed(self, piece: Piece, reason: str) -> None:
        """Says why a piece is not there, or why it is tried again."""
        self._remove(piece)
        console.print(Text("✗ ", style="red").append(f"{piece.title}: {reason}", style="not red"), soft_wrap=True)

    def _remove(self, piece: Piece) -> None:
        if piece in self._lines:
            self._progress.remove_task(self._lines.pop(piece))


@contextlib.contextmanager
def watching(total: int) -> Iterator[Board]:
    """Shows ``total`` pieces while the body runs; where the console cannot redraw, only the lines."""
    columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
               TimeElapsedColumn(), TextColumn("{task.fields[note]}", style="dim")]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Board(progress, total)


def duration(seconds: float) -> str:
    """For people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
