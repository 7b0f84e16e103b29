"""Command that forgets ids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from tfrs_pretrain.cli.application import FAILED, app
from tfrs_pretrain.cli.options import SignOption, check_writable, open_signer
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console, error_console, print_warning
from tfrs_pretrain.quiet import quiet_imports

if TYPE_CHECKING:
    from tfrs_pretrain.forgetting.artifact import Leak
    from tfrs_pretrain.forgetting.run import Forgetting


@app.command()
def forget(
    folders: Annotated[list[Path], typer.Argument(
        metavar="FOLDER...", help="all folders that stages wrote from one dataset, the dataset included; artifacts in "
                                  "their subfolders are found")],
    space: Annotated[str, typer.Option(help="user or item")],
    ids: Annotated[Path, typer.Option(help="ids: .txt with one a line, or .csv (with a header) or .parquet with one "
                                           "column")],
    certificate: Annotated[Path, typer.Option(
        help="JSON file to write: what was removed, digests before and after, and the proofs of absence"
    )] = Path("forget_certificate.json"),
    check: Annotated[bool, typer.Option("--check", help="change nothing: only search the folders for the ids")] = False,
    sign: SignOption = None,
) -> None:
    """Removes users or items from everything that the stages wrote, and proves that they are absent.

    The same command continues after a kill. A signed version that changes loses its signature, or is signed again by
    --sign. Exit code 1: an id is still present.
    """
    if space not in ("user", "item"):
        raise UserError(f"--space {space!r} is unknown: choose user or item")
    with quiet_imports():
        from tfrs_pretrain.forgetting import run
        from tfrs_pretrain.forgetting.certificate import NOT_KNOWN, write_certificate
    if check:
        found, searched, leaks = run.check(space, ids, folders)
        console.print(f"searched {len(found.artifacts)} artifacts and {len(found.loose)} other files for "
                      f"{len(searched.ids)} ids", soft_wrap=True)
    else:
        check_writable(certificate)
        result = run.forget(space, ids, folders, open_signer(sign))
        write_certificate(result, certificate)
        leaks = result.leaks
        _show(result, certificate)
    for sentence in NOT_KNOWN:
        console.print(Text("not covered: ", style="dim").append(sentence), soft_wrap=True)
    _report(leaks)


def _show(result: Forgetting, certificate: Path) -> None:
    table = Table("artifact", "kind", "removed", title=f"{len(result.ids.ids)} ids of {result.ids.space!r}, "
                  f"{result.without_row} of them without a row", title_justify="left")
    for change in result.changes:
        removed = ", ".join(f"{count} {what}" for what, count in change.removed.items()) or "—"
        table.add_row(str(change.artifact.folder), change.artifact.kind, removed)
    console.print(table)
    console.print(f"certificate: {certificate}", soft_wrap=True)
    for change in result.changes:
        if change.lost_signature:
            print_warning(f"{change.artifact.folder} has changed and lost its signature: sign it again with "
                          f"`tfrs-pretrain sign {change.artifact.folder} --key KEY`")


def _report(leaks: list[Leak]) -> None:
    for leak in leaks:
        error_console.print(Text("still present: ", style="bold red").append(
            f"{leak.path}: {leak.place}", style="not bold default"), soft_wrap=True)
    if leaks:
        raise typer.Exit(FAILED)
    console.print(Text("✓ ", style="green").append("no id was found", style="not green"))
