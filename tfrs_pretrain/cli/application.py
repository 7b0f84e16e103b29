"""The application that commands are added to, and how it ends."""

from __future__ import annotations

import errno
import sys

import typer
from rich.text import Text

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import error_console

# Exit codes beside 0 and 2, which says that the user can mend something.
FAILED, REFUSED = 1, 3
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a write that fails names no file

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", help=(
    "Pretrains ID embeddings contrastively, fine-tunes a ranking model on them with online distillation, exports it "
    "to TF Serving.\n\nThe stages in order: **logs**, **dataset**, **pretrain**, **rank**, **export**, **report**; "
    "**demo** runs them all. Each reads only the folders that the stages before it wrote."))


def main() -> None:
    """Entry point: what the user can mend is one line on standard error and exit code 2."""
    try:
        app()
    except UserError as error:
        _refuse(str(error))
    except OSError as error:
        if error.filename is None and error.errno not in NO_ROOM:
            raise
        where = "output" if error.filename is None else repr(error.filename)
        _refuse(f"{where}: {error.strerror}: check the path, its permissions and the free space")


def _refuse(message: str) -> None:
    error_console.print(Text("error: ", style="bold red").append(message, style="not bold default"), soft_wrap=True)
    sys.exit(2)
