"""Commands about an embeddings artifact: info, neighbors, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tfrs_pretrain.cli.application import app
from tfrs_pretrain.cli.needs import Commands
from tfrs_pretrain.cli.options import OverwriteOption
from tfrs_pretrain.progress import console, output_stream
from tfrs_pretrain.quiet import quiet_imports

embeddings = Commands(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown",
                         help="Shows pretrained rows and exports them for other programs.")
app.add_typer(embeddings, name="embeddings")

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="output folder of `tfrs-pretrain pretrain`")]
PrintJsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]


@embeddings.command()
def info(folder: FolderArgument, as_json: PrintJsonOption = False) -> None:
    """Shows the tables of an artifact: ids, sizes, counts, norms, and the course of the training."""
    with quiet_imports():
        from tfrs_pretrain.embeddings.artifact import Embeddings
        from tfrs_pretrain.interop.console_tables import show_info
        from tfrs_pretrain.interop.info import describe
    described = describe(Embeddings.open(folder))
    if as_json:
        _print_json(described)
    else:
        show_info(described, console)


@embeddings.command()
def neighbors(
    folder: FolderArgument,
    ids: Annotated[list[str], typer.Option("--id", metavar="ID", help="id, as in the logs; repeatable")],
    table: Annotated[str, typer.Option(help="item or user")] = "item",
    top: Annotated[int, typer.Option(min=1, help="neighbours per id")] = 10,
    as_json: PrintJsonOption = False,
) -> None:
    """Shows the ids with the most similar rows, found by comparing all of them.

    The similarity is that of Stage I, without its popularity prior. `index` writes an index for many searches.
    """
    with quiet_imports():
        from tfrs_pretrain.embeddings.artifact import Embeddings
        from tfrs_pretrain.interop.console_tables import show_neighbors
        from tfrs_pretrain.interop.neighbors import find_neighbors
        from tfrs_pretrain.interop.raw_ids import parse_id
    opened = Embeddings.open(folder)
    dtype = opened.vocabulary(table).dtype
    found = find_neighbors(opened, [parse_id(text, dtype) for text in ids], table=table, k=top)
    if as_json:
        _print_json([entry.to_json() for entry in found])
        return
    for entry in found:
        show_neighbors(entry, console)


@embeddings.command()
def export(
    folder: FolderArgument,
    output: Annotated[Path, typer.Option(help="folder to write: one file for each table, and a manifest")],
    file_format: Annotated[str, typer.Option(
        "--format", help="parquet, npz, tfrecord, csv, safetensors, or an index: hnswlib, faiss")] = "parquet",
    tables: Annotated[list[str] | None, typer.Option(
        "--table", metavar="NAME", help="export only this table; repeatable (default: all)")] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Writes ids, vectors and counts in a format that other programs read.

    Rows that unknown ids share are left out. The vectors are those of training; in an index for cosine similarity they
    have length 1, and entry i is line i of the file of ids beside it.
    """
    with quiet_imports():
        from tfrs_pretrain.embeddings.artifact import Embeddings
        from tfrs_pretrain.interop.export import export_rows
    manifest = export_rows(Embeddings.open(folder), output, file_format, tables=tuple(tables or ()),
                           overwrite=overwrite)
    for name, entry in manifest["tables"].items():
        console.print(f"{name}: {entry['ids']:,} ids, {entry['dim']} dimensions", highlight=False)
    console.print(f"wrote {output}", soft_wrap=True)


def _print_json(value: Any) -> None:
    ensure_ascii = not output_stream.encoding.lower().startswith("utf")  # else \u escapes
    typer.echo(json.dumps(value, ensure_ascii=ensure_ascii, indent=2))
