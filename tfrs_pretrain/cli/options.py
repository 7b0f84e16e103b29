"""Options that several commands share, and helpers that read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from tfrs_pretrain.artifact_names import DATASET_KIND, IMPRESSIONS_KIND
from tfrs_pretrain.config import BUNDLED, Config, load_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.run_config import check_config, stored_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.extras import require
from tfrs_pretrain.progress import console
from tfrs_pretrain.quiet import quiet_imports

if TYPE_CHECKING:
    from tfrs_pretrain.serving.signing import Signer

ConfigOption = Annotated[str, typer.Option("--config", help=f"YAML file, or a bundled name: {', '.join(BUNDLED)}")]
DatasetConfigOption = Annotated[str | None, typer.Option(
    "--config", help="YAML file or bundled name (default: the configuration that the dataset was built with)")]
SetOption = Annotated[list[str] | None, typer.Option(
    "--set", metavar="KEY=VALUE", help="override one key, such as pretraining.epochs=3; repeatable")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="replace the contents of the output folder")]
DatasetOption = Annotated[Path, typer.Option(help="output folder of `tfrs-pretrain dataset`")]
EmbeddingsOption = Annotated[Path, typer.Option(help="output folder of `tfrs-pretrain pretrain`")]
RankerOption = Annotated[Path, typer.Option(help="output folder of `tfrs-pretrain train-ranker`")]
ModelArgument = Annotated[Path, typer.Argument(help="ranker folder, or exported version")]
SplitOption = Annotated[str, typer.Option(help="impressions to evaluate on: test or validation")]
ScoreOption = Annotated[list[Path] | None, typer.Option(
    "--dataset", help="score the impressions in this output folder of `tfrs-pretrain dataset` or `build_impressions` "
                      "instead of reading stored predictions. Repeatable: each model scores the first dataset that was "
                      "built with the model's own vocabularies")]
ModelsOption = Annotated[Path, typer.Option(help="folder of model folders: versions go to MODELS/<name>/<version>")]
ModelsConfigOption = Annotated[Path, typer.Option(help="TF Serving's file of models and their labels")]
VersionOption = Annotated[int | None, typer.Option("--version", help="send to this version (default: the newest)")]
ServerOption = Annotated[str | None, typer.Option(
    "--server", metavar="HOST:PORT", help="gRPC address of the running server: load the version, move the label and "
                                          "check that the server applied both. Without it, the output says what to "
                                          "watch")]
WaitOption = Annotated[float, typer.Option("--wait", min=0, help="seconds to wait for --server to apply each edit")]
SignOption = Annotated[Path | None, typer.Option(
    "--sign", metavar="KEY", help="PEM file of the private key to sign with (elliptic curve; default: no signature)")]
PublicKeyOption = Annotated[Path | None, typer.Option(
    "--public-key", metavar="FILE", envvar="TFRS_PRETRAIN_PUBLIC_KEY", help=(
        "PEM file: refuse a version that is not signed with this key, or that was changed since"))]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="also write the full result as JSON")]


def open_dataset(folder: Path, config: str | None, overrides: list[str] | None) -> tuple[Dataset, Config]:
    """Opens a dataset with the configuration to use on it.

    Raises:
      UserError: the two differ in columns or windows.
    """
    dataset = Dataset.open(folder)
    settings = load_config(config, overrides or ()) if config else stored_config(dataset, overrides or ())
    check_config(settings, dataset)
    return dataset, settings


def reader(datasets: list[Path] | None) -> dict[str, Any]:
    """Keyword argument that makes models score these datasets; empty if they use stored predictions."""
    if not datasets:
        return {}
    require("--dataset", "train")
    with quiet_imports():
        from tfrs_pretrain.ranking.rescore import scoring
    return {"read": scoring([Dataset.open(folder, (DATASET_KIND, IMPRESSIONS_KIND)) for folder in datasets])}


def check_writable(path: Path | None) -> None:
    """Fails before a long run if its output file is not writable."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise UserError(f"output {str(path)!r} cannot be written: name a file in a folder that exists")


def open_signer(key: Path | None) -> Signer | None:
    """Opens the key of --sign; None without one."""
    if key is None:
        return None
    from tfrs_pretrain.serving.signing import Signer

    return Signer(key)


def number(value: float | None) -> str:
    """Formats a metric with four decimals; a dash stands for a metric that is undefined."""
    return "—" if value is None else f"{value:.4f}"


def next_command(command: str) -> None:
    """Prints the command that follows."""
    console.print(Text("next: ", style="dim").append(command, style="bold"), soft_wrap=True)
