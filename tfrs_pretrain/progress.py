"""Progress bars with rate and remaining time, and one line for each finished task."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from tfrs_pretrain.standard_streams import LenientStream

output_stream, error_stream = LenientStream("stdout"), LenientStream("stderr")
console = Console(file=output_stream)  # type: ignore[arg-type]
error_console = Console(file=error_stream)  # type: ignore[arg-type]


def print_warning(text: str) -> None:
    """Prints a line about something that the user should look at, although the command continues."""
    console.print(Text(f"! {text}", style="yellow"), soft_wrap=True)


class Meter:
    """Updates a running progress bar."""

    def __init__(self, progress: Progress, task: int):
        self._progress, self._task = progress, task

    def advance(self, amount: float = 1) -> None:
        """Adds units of finished work."""
        self._progress.advance(self._task, amount)  # type: ignore[arg-type]

    def note(self, text: str) -> None:
        """Replaces the short text after the bar, such as the current loss."""
        self._progress.update(self._task, note=text)  # type: ignore[arg-type]


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        return Text(f"{thousands(task.speed)} {unit}/s" if task.speed and unit else "", style="cyan")


def thousands(value: float) -> str:
    """Formats a number with a suffix: 12.3k, 4.5M."""
    for limit, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.1f}{suffix}"
    return f"{value:.0f}"


@contextlib.contextmanager
def progress(title: str, total: float | None = None, unit: str = "") -> Iterator[Meter]:
    """Shows a progress bar while the block runs, or a spinner with the elapsed time if ``total`` is None.

    On a console that cannot redraw (a pipe, a CI log), only the final line appears, with the seconds and the note. A
    block that raises leaves no final line.
    """
    start = time.monotonic()
    columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), _Rate(),
               TimeRemainingColumn(elapsed_when_finished=True), TextColumn("{task.fields[note]}", style="dim")]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total, unit=unit, note="")
        yield Meter(bar, task)
        done, note = bar.tasks[0].completed, bar.tasks[0].fields["note"]
    seconds = time.monotonic() - start
    facts = [f"{seconds:.1f} s", f"{thousands(done / seconds)} {unit}/s" if done and unit else "", note]
    console.print(Text("✓ ", style="green").append(title, style="not green").append(
        "  " + " · ".join(fact for fact in facts if fact), style="dim not green"), soft_wrap=True)
