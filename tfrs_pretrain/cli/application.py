"""The Typer application, its error handling and its exit codes."""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from rich.text import Text

from tfrs_pretrain.cli.needs import Commands
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.extras import missing_module
from tfrs_pretrain.progress import error_console, output_stream
from tfrs_pretrain.standard_streams import open_closed_streams
from tfrs_pretrain.system_errors import describe_system_error
from tfrs_pretrain.version import __version__

# Exit codes beside 0 (success) and 2 (the user can correct the input).
FAILED, REFUSED = 1, 3
Function = TypeVar("Function", bound=Callable[..., None])

app = Commands(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", help=(
    "Pretrains ID embeddings contrastively, fine-tunes a ranking model on them with online distillation, exports it "
    "to TF Serving.\n\nThe stages in order: **dataset**, **pretrain**, **train-ranker**, **export**, **report**; "
    "**demo** runs them all on real data. Each stage reads only the folders that the stages before it wrote."))


def formerly(old: str, new: str) -> Callable[[Function], Function]:
    """Registers a command under its name in version 0.1 too: hidden, with a notice; to be removed in version 0.3."""

    def register(function: Function) -> Function:
        @functools.wraps(function)
        def with_notice(*arguments: Any, **options: Any) -> None:
            error_console.print(Text("deprecated: ", style="bold yellow").append(
                f"`{old}` is now `{new}`; the old name will be removed in version 0.3", style="not bold default"),
                soft_wrap=True)
            function(*arguments, **options)

        app.command(old, hidden=True)(with_notice)
        return function

    return register


def main() -> None:
    """Runs a command; prints an error that the user can correct as one line on standard error and exits with 2.

    Such errors are a UserError and an error of the operating system, such as a full disk. Others are bugs.
    """
    # Set before TensorFlow loads: its C++ log messages would hide the progress bars. Errors are still printed.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the shell may name another one for another project
    open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # --help contains characters that some encodings lack
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as finished:
        if not finished.code and output_stream.error:
            error_console.print(f"warning: the command finished, but its output is incomplete: {output_stream.error}")
            sys.exit(FAILED)
        raise
    except UserError as error:
        _refuse(str(error))
    except Exception as error:
        message = missing_module(error) if isinstance(error, ImportError) else describe_system_error(error)
        if message is None:
            raise
        _refuse(message)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False,
) -> None:
    """Options that come before the name of a command."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


def _refuse(message: str) -> None:
    error_console.print(Text("error: ", style="bold red").append(message, style="not bold default"), soft_wrap=True)
    sys.exit(2)
