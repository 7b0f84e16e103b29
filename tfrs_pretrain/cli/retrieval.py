"""Items for one user, from the shell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tfrs_pretrain.cli.application import app
from tfrs_pretrain.cli.options import (
    DatasetOption,
    OverwriteOption,
    next_command,
)
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console
from tfrs_pretrain.quiet import import_quietly


@app.command()
def index(
    embeddings: Annotated[Path, typer.Option(help="folder that `tfrs-pretrain pretrain` wrote")],
    output: Annotated[Path, typer.Option(help="folder to write: Faiss indexes and the ids of their labels")],
    dataset: Annotated[Path | None, typer.Option(
        help="what the rows were pretrained on; needed only with pretraining.popularity_prior")] = None,
    approximate: Annotated[str, typer.Option(
        help="hnsw: fast, larger than exact; ivfpq: a byte for four columns; none: exact alone")] = "hnsw",
    cutoffs: Annotated[list[int] | None, typer.Option(
        "--k", min=1, help="length of lists to measure recall with; may be repeated (default: 10 and 100)")] = None,
    queries: Annotated[int, typer.Option(min=1, help="most users to measure with")] = 1000,
    overwrite: OverwriteOption = False,
) -> None:
    """Writes the item embeddings as an exact and an approximate Faiss index, with recall and latency."""
    if approximate not in ("hnsw", "ivfpq", "none"):
        raise UserError(f"--approximate {approximate!r} is unknown: choose hnsw, ivfpq or none")
    opened = import_quietly("tfrs_pretrain.embeddings.artifact").Embeddings.open(embeddings)
    manifest = import_quietly("tfrs_pretrain.retrieval.build").build_index(
        opened, output, dataset=Dataset.open(dataset) if dataset else None, approximate=approximate,
        cutoffs=tuple(sorted(set(cutoffs or (10, 100)))), queries=queries, overwrite=overwrite)
    import_quietly("tfrs_pretrain.retrieval.table").show_index(manifest, console)
    next_command(f"tfrs-pretrain recommend USER_ID --dataset DATASET --embeddings {embeddings} --index {output} "
          "--ranker RANKER")


@app.command()
def recommend(
    user: Annotated[str, typer.Argument(metavar="USER_ID", help="as in the logs")],
    dataset: DatasetOption,
    embeddings: Annotated[Path, typer.Option(help="folder that `tfrs-pretrain pretrain` wrote")],
    index: Annotated[Path, typer.Option(help="folder that `tfrs-pretrain index` wrote from these embeddings")],
    ranker: Annotated[Path, typer.Option(help="folder that `tfrs-pretrain rank` wrote")],
    top: Annotated[int, typer.Option(min=1, help="items to answer with")] = 10,
    candidates: Annotated[int, typer.Option(min=1, help="items that Stage I hands to Stage II")] = 200,
    context: Annotated[list[str] | None, typer.Option(
        "--context", metavar="FEATURE=VALUE", help="of the impression, several values as a JSON array; may be repeated "
                                                   "(default: the most frequent value)")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="compare all items although there is a faster index")] = False,
    with_seen: Annotated[bool, typer.Option(
        "--with-seen", help="also what the user engaged with in the pretraining window")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Answers for one user from the shell: Stage I retrieves items, Stage II ranks them.

    Features of users and items come from the dataset's impressions; what was never shown has missing values.
    """
    stage = import_quietly("tfrs_pretrain.retrieval.recommend")
    question = stage.Question(user, top, candidates, _assignments(context or ()), exact, with_seen)
    answer = stage.recommend(question, Dataset.open(dataset), stage.Embeddings.open(embeddings),
                             stage.ItemIndex.open(index), ranker)
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        import_quietly("tfrs_pretrain.retrieval.table").show_answer(answer, console)


def _assignments(texts: Sequence[str]) -> dict[str, str]:
    """Feature -> value of FEATURE=VALUE."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"--context {text!r}: write it as FEATURE=VALUE")
        found[name] = value
    return found
