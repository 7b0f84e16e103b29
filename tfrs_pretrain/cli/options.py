"""Options that several commands have, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from tfrs_pretrain.config import BUNDLED, Config, first_difference, load_config, parse_config
from tfrs_pretrain.data.dataset import IMPRESSIONS_KIND, KIND, Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console
from tfrs_pretrain.quiet import import_quietly

ConfigOption = Annotated[str, typer.Option("--config", help=f"YAML file, or a bundled name: {', '.join(BUNDLED)}")]
DatasetConfigOption = Annotated[str | None, typer.Option(
    "--config", help="YAML file or bundled name (default: the configuration that the dataset was built with)")]
SetOption = Annotated[list[str] | None, typer.Option(
    "--set", metavar="KEY=VALUE", help="override one key, such as pretraining.epochs=3; may be repeated")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="replace what the output folder holds")]
DatasetOption = Annotated[Path, typer.Option(help="folder that `tfrs-pretrain dataset` wrote")]
ModelArgument = Annotated[Path, typer.Argument(help="ranker folder, or exported version")]
SplitOption = Annotated[str, typer.Option(help="impressions to judge by: test or validation")]
ScoreOption = Annotated[list[Path] | None, typer.Option(
    "--dataset", help="score the impressions in this folder of `tfrs-pretrain dataset` or `build_impressions` instead "
                      "of reading stored predictions. May be repeated: each model scores the first that was built "
                      "with its own vocabularies")]
ModelsOption = Annotated[Path, typer.Option(help="where versions go: MODELS/<name>/<version>")]
ModelsConfigOption = Annotated[Path, typer.Option(help="TF Serving's list of models with their labels")]
VersionOption = Annotated[int | None, typer.Option("--version", help="ask this version (default: the newest)")]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="write all of it as JSON")]


def open_dataset(folder: Path, config: str | None, overrides: list[str] | None) -> tuple[Dataset, Config]:
    """The dataset and the configuration to use with it, which must agree on columns and windows."""
    dataset = Dataset.open(folder)
    built_with = dataset.info["config"]
    # As read today: keys that have come since, with their defaults, are no difference.
    sections = {"schema": dataset.schema.model_dump(mode="json"), "windows": dataset.windows.model_dump(mode="json")}
    settings = load_config(config, overrides or ()) if config else parse_config(
        built_with, overrides or (), origin=f"{folder}/dataset_info.json")
    for section, built in sections.items():
        difference = first_difference(built, settings.resolved()[section], section)
        if difference:
            raise UserError(f"dataset {str(folder)!r} was built with another configuration, first in {difference}: "
                            "build it again with this configuration, or leave --config away")
    return dataset, settings


def reader(datasets: list[Path] | None) -> dict[str, Any]:
    """The argument that makes models score datasets; none where their stored predictions do."""
    if not datasets:
        return {}
    opened = [Dataset.open(folder, (KIND, IMPRESSIONS_KIND)) for folder in datasets]
    return {"read": import_quietly("tfrs_pretrain.ranking.rescore").scoring(opened)}


def check_writable(path: Path | None) -> None:
    """Minutes of work must not end in a path that cannot be written."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise UserError(f"output {str(path)!r} cannot be written: name a file in a folder that exists")


def number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4f}"


def next_command(command: str) -> None:
    console.print(Text("next: ", style="dim").append(command, style="bold"), soft_wrap=True)
