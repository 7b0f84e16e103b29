"""Commands that retrieve items: index and recommend."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from tfrs_pretrain.cli.application import app
from tfrs_pretrain.cli.options import DatasetOption, EmbeddingsOption, OverwriteOption, RankerOption, next_command
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console, output_stream
from tfrs_pretrain.quiet import quiet_imports


@app.command()
def index(
    embeddings: EmbeddingsOption,
    output: Annotated[Path, typer.Option(help="folder to write: Faiss indexes and the ids of their entries")],
    dataset: Annotated[Path | None, typer.Option(
        help="dataset of the pretraining; required only with a popularity_prior")] = None,
    approximate: Annotated[str, typer.Option(
        help="hnsw: fast, larger than exact; ivfpq: one byte per four dimensions; none: exact only")] = "hnsw",
    cutoffs: Annotated[list[int] | None, typer.Option(
        "--k", min=1, help="list length at which to measure recall; repeatable (default: 10 and 100)")] = None,
    queries: Annotated[int, typer.Option(min=1, help="max users to measure with")] = 1000,
    overwrite: OverwriteOption = False,
) -> None:
    """Writes an exact and an approximate Faiss index of the item embeddings, and measures recall and latency."""
    if approximate not in ("hnsw", "ivfpq", "none"):
        raise UserError(f"--approximate {approximate!r} is unknown: choose hnsw, ivfpq or none")
    kind = cast("Literal['hnsw', 'ivfpq', 'none']", approximate)
    with quiet_imports():
        from tfrs_pretrain.embeddings.artifact import Embeddings
        from tfrs_pretrain.retrieval.build import build_index
        from tfrs_pretrain.retrieval.table import show_index
    manifest = build_index(
        Embeddings.open(embeddings), output, dataset=Dataset.open(dataset) if dataset else None,
        approximate=kind, cutoffs=tuple(sorted(set(cutoffs or (10, 100)))), queries=queries,
        overwrite=overwrite)
    show_index(manifest, console)
    next_command(f"tfrs-pretrain recommend USER_ID --dataset DATASET --embeddings {embeddings} --index {output} "
          "--ranker RANKER")


@app.command()
def recommend(
    user: Annotated[str, typer.Argument(metavar="USER_ID", help="user id, as in the logs")],
    dataset: DatasetOption,
    embeddings: EmbeddingsOption,
    index: Annotated[Path, typer.Option(help="output folder of `tfrs-pretrain index` for these embeddings")],
    ranker: RankerOption,
    top: Annotated[int, typer.Option(min=1, help="items to return")] = 10,
    candidates: Annotated[int, typer.Option(min=1, help="items that Stage I retrieves for Stage II to rank")] = 200,
    context: Annotated[list[str] | None, typer.Option(
        "--context", metavar="FEATURE=VALUE", help="context feature; several values as a JSON array; repeatable "
                                                   "(default: the most frequent value)")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="search all items, although a faster index exists")] = False,
    with_seen: Annotated[bool, typer.Option(
        "--with-seen", help="include items that the user engaged with in the pretraining window")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Recommends items to one user: Stage I retrieves them, Stage II ranks them.

    Features of users and items are read from the dataset's impressions; an item that was never shown has missing
    values.
    """
    with quiet_imports():
        from tfrs_pretrain.embeddings.artifact import Embeddings
        from tfrs_pretrain.retrieval.artifact import ItemIndex
        from tfrs_pretrain.retrieval.recommend import RecommendationRequest, recommend
        from tfrs_pretrain.retrieval.table import show_recommendations
    request = RecommendationRequest(user, top, candidates, _assignments(context or ()), exact, with_seen)
    answer = recommend(request, Dataset.open(dataset), Embeddings.open(embeddings), ItemIndex.open(index), ranker)
    if as_json:
        ensure_ascii = not output_stream.encoding.lower().startswith("utf")  # else \u escapes
        typer.echo(json.dumps(answer, ensure_ascii=ensure_ascii, indent=2))
    else:
        show_recommendations(answer, console)


def _assignments(texts: Sequence[str]) -> dict[str, str]:
    """Parses FEATURE=VALUE texts into a dict."""
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"--context {text!r}: write it as FEATURE=VALUE")
        values[name] = value
    return values
