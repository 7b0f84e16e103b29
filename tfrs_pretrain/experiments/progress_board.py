"""Console output of a running experiment: a line for each finished piece, a bar, and the piece of each worker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.progress import console


class ProgressBoard:
    """What ``progress_board`` yields."""

    def __init__(self, progress: Progress, total: int):
        self._progress, self._total, self._done = progress, total, 0
        self._all = progress.add_task("pieces", total=total, note="")
        self._lines: dict[Piece, TaskID] = {}

    def started(self, piece: Piece) -> None:
        self._lines[piece] = self._progress.add_task(piece.title, total=None, note="")

    def finished(self, piece: Piece, seconds: float, left: float | None) -> None:
        """Count a finished piece. ``left``: estimated remaining seconds, None if unknown."""
        self._remove(piece)
        self._done += 1
        note = "" if left is None else f"about {duration(left)} left"
        self._progress.update(self._all, completed=self._done, note=note)
        facts = " · ".join(fact for fact in (f"{seconds:.1f} s", f"{self._done}/{self._total}", note) if fact)
        console.print(Text("✓ ", style="green").append(piece.title, style="not green").append(
            f"  {facts}", style="dim not green"), soft_wrap=True)

    def failed(self, piece: Piece, reason: str) -> None:
        """Print why a piece failed, or why it is tried again."""
        self._remove(piece)
        console.print(Text("✗ ", style="red").append(f"{piece.title}: {reason}", style="not red"), soft_wrap=True)

    def _remove(self, piece: Piece) -> None:
        if piece in self._lines:
            self._progress.remove_task(self._lines.pop(piece))


@contextlib.contextmanager
def progress_board(total: int) -> Iterator[ProgressBoard]:
    """Show progress over ``total`` pieces while the body runs. Without a terminal, only the lines are printed."""
    columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
               TimeElapsedColumn(), TextColumn("{task.fields[note]}", style="dim")]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield ProgressBoard(progress, total)


def duration(seconds: float) -> str:
    """Format seconds with a unit."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
