"""The Typer application, its error handling and its exit codes."""

from __future__ import annotations

import errno
import os
import sys

import click
import typer
import typer.core
from rich.text import Text

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import error_console

# Exit codes beside 0 (success) and 2 (the user can correct the input).
FAILED, REFUSED = 1, 3
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a failed write does not name the file
# Names of version 0.1, to be removed in 0.3.
RENAMED = {"logs": "demo-logs", "plan": "plan-memory", "rank": "train-ranker"}


class Commands(typer.core.TyperGroup):
    """Finds a command by its name, or by its name in version 0.1 with a notice."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command, or None if there is none of that name."""
        if name in RENAMED:
            error_console.print(Text("deprecated: ", style="bold yellow").append(
                f"`{name}` is now `{RENAMED[name]}`; the old name will be removed in version 0.3",
                style="not bold default"), soft_wrap=True)
        return super().get_command(context, RENAMED.get(name, name))


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", help=(
    "Pretrains ID embeddings contrastively, fine-tunes a ranking model on them with online distillation, exports it "
    "to TF Serving.\n\nThe stages in order: **dataset**, **pretrain**, **train-ranker**, **export**, **report**; "
    "**demo** runs them all on real data. Each stage reads only the folders that the stages before it wrote."))


def main() -> None:
    """Runs a command; prints an error that the user can correct as one line on standard error and exits with 2."""
    # Set before TensorFlow loads: its C++ log messages would hide the progress bars. Errors are still printed.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        app()
    except UserError as error:
        _refuse(str(error))
    except OSError as error:
        if error.filename is None and error.errno not in DISK_FULL:
            raise
        where = "output" if error.filename is None else repr(error.filename)
        _refuse(f"{where}: {error.strerror}: check the path, its permissions and the free space")


def _refuse(message: str) -> None:
    error_console.print(Text("error: ", style="bold red").append(message, style="not bold default"), soft_wrap=True)
    sys.exit(2)
