"""Print an experiment's plan, failures and unneeded folders on the console."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tfrs_pretrain.experiments.experiment_plan import Plan
from tfrs_pretrain.experiments.piece_costs import PieceCosts
from tfrs_pretrain.experiments.pieces import KINDS
from tfrs_pretrain.experiments.progress_board import duration
from tfrs_pretrain.experiments.prune import UnneededFolder
from tfrs_pretrain.experiments.stream_plan import StreamPlan
from tfrs_pretrain.reporting.log_summary import (
    LOG_HEADINGS,
    MARKDOWN_FILE,
    TARGET_HEADINGS,
    log_rows,
    target_heading,
    target_rows,
)
from tfrs_pretrain.reporting.text.formats import size
from tfrs_pretrain.stream_study import StreamStudy
from tfrs_pretrain.study import Study


def show_plan(plan: Plan | StreamPlan, output: Path, jobs: int, console: Console) -> None:
    """Print the pieces to make, those that are finished and those that arms share."""
    arms = Table("arm", "candidates", "pieces", "not shared", box=None)
    uses = {arm.name: dict.fromkeys(need for piece in plan.targets(arm, arm.candidates[0])
                                    for need in piece.with_dependencies()) for arm in plan.arms}
    users = Counter(piece for needed in uses.values() for piece in needed)
    for arm in plan.arms:
        not_shared = sum(users[piece] == 1 for piece in uses[arm.name])
        arms.add_row(arm.name, str(len(arm.candidates)), str(len(uses[arm.name])), str(not_shared))
    console.print(arms)
    kinds = Table("pieces", "needed", "finished", "to make", box=None)
    for kind in KINDS:
        pieces = [piece for piece in users if piece.kind == kind]
        num_finished = sum(piece.is_finished(output) for piece in pieces)
        kinds.add_row(kind, str(len(pieces)), str(num_finished), str(len(pieces) - num_finished))
    console.print(kinds)
    show_estimate(plan, output, jobs, console)
    if any(len(arm.candidates) > 1 for arm in plan.arms):
        console.print("an arm with several candidates is counted with its first one", style="dim")


def show_estimate(plan: Plan | StreamPlan, output: Path, jobs: int, console: Console) -> None:
    """Print the time that the missing pieces will take, by the pieces that were made in the folder before."""
    pieces = {need for arm in plan.arms for piece in plan.targets(arm, arm.candidates[0])
              for need in piece.with_dependencies()}
    missing = [piece for piece in pieces if not piece.is_finished(output)]
    if not missing:
        return
    left = PieceCosts(output).estimate(missing)
    about = "the time is unknown until one of each kind is made" if left is None else (
        f"about {duration(left / jobs)} with {jobs} jobs")
    console.print(f"{len(missing)} of {len(pieces)} pieces to make: {about}", highlight=False)


def show_failures(study: Study | StreamStudy, console: Console) -> bool:
    """Print the failed runs with their reasons. Return whether there are any."""
    failures = [(arm.name, failure) for arm in study.arms for failure in arm.failures]
    for arm, failure in failures:
        console.print(Text("failed: ", style="red").append(f"{arm}, seed {failure.seed}: {failure.reason}",
                                                           style="not red"), soft_wrap=True)
    return bool(failures)


def confirm_removal(folders: Sequence[UnneededFolder], console: Console, *, ask: bool, dry_run: bool) -> bool:
    """Print the folders to remove with their sizes. Return whether to remove them."""
    if not folders:
        console.print("nothing to remove")
        return False
    table = Table("to remove", "size", box=None)
    for unneeded in folders:
        table.add_row(f"{unneeded.folder.parent.name}/{unneeded.folder.name}", size(unneeded.size))
    console.print(table)
    console.print(f"{len(folders)} folders, {size(sum(unneeded.size for unneeded in folders))}", highlight=False)
    return not dry_run and (not ask or typer.confirm("remove them?"))


def show_log_summary(summary: Mapping[str, Any], output: Path, console: Console) -> None:
    """Print the results of every log, and whether each reached its target."""
    _show_rows(LOG_HEADINGS, log_rows(summary), console)
    if heading := target_heading(summary):
        console.print(Text(f"{heading}:"), soft_wrap=True)
        _show_rows(TARGET_HEADINGS, target_rows(summary), console)
    for name, reason in summary["failures"].items():
        console.print(Text("failed: ", style="red").append(f"{name}: {reason}", style="not red"), soft_wrap=True)
    for name in summary["without_data"]:
        console.print(f"left out: {name}, which needs --data {name}=FOLDER", highlight=False)
    console.print(f"wrote {output / MARKDOWN_FILE}", soft_wrap=True)


def _show_rows(headings: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    table = Table(*headings, box=None)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
