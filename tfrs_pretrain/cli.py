"""``tfrs-pretrain``: the whole job, and each of its stages alone.

Stages are imported when they run: `--help`, a mistyped option or a missing folder must not wait for TensorFlow.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.table import Table
from rich.text import Text

from tfrs_pretrain import __version__
from tfrs_pretrain.config import BUNDLED, Config, first_difference, load_config, parse_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console, error_console
from tfrs_pretrain.quiet import import_quietly
from tfrs_pretrain.stages import Workdir

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", help=(
    "Pretrains ID embeddings contrastively, fine-tunes a ranking model on them with online distillation, exports it "
    "to TF Serving.\n\nThe stages in order: **logs**, **dataset**, **pretrain**, **rank**, **export**, **report**; "
    "**demo** runs them all. Each reads only the folders that the stages before it wrote."))

ConfigOption = Annotated[str, typer.Option("--config", help=f"YAML file, or a bundled name: {', '.join(BUNDLED)}")]
DatasetConfigOption = Annotated[str | None, typer.Option(
    "--config", help="YAML file or bundled name (default: the configuration that the dataset was built with)")]
SetOption = Annotated[list[str] | None, typer.Option(
    "--set", metavar="KEY=VALUE", help="override one key, such as pretraining.epochs=3; may be repeated")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="replace what the output folder holds")]
DatasetOption = Annotated[Path, typer.Option(help="folder that `tfrs-pretrain dataset` wrote")]
ModelsOption = Annotated[Path, typer.Option(help="where versions go: MODELS/<name>/<version>")]


@app.command()
def demo(
    workdir: Annotated[Path, typer.Option(help="folder of the run; finished stages are kept")] = Path("runs/demo"),
    models: ModelsOption = Path("saved_models"),
    config: ConfigOption = "completejourney",
    overrides: SetOption = None,
) -> None:
    """Runs everything on one year of real grocery purchases: raw logs to a served model and a report."""
    run = Workdir(workdir, load_config(config, overrides or ()))

    stage = import_quietly("tfrs_pretrain.demo")
    _summarise(stage.run_demo(run, models), workdir)


@app.command()
def logs(
    output: Annotated[Path, typer.Option(help="folder to write: engagements, impressions, items and users as Parquet")],
    config: ConfigOption = "completejourney",
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Turns the bundled completejourney data into an engagement log, derived exposures and side tables."""
    settings = load_config(config, overrides or ())
    import_quietly("tfrs_pretrain.data.completejourney").write_logs(
        settings.completejourney, pretrain_end_week=settings.windows.pretrain.bounds[1], seed=settings.seed,
        output=output, overwrite=overwrite)
    _next(f"tfrs-pretrain dataset --raw {output} --output DATASET")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def dataset(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="folder to write")],
    raw: Annotated[Path, typer.Option(help="folder that dataset.sources are relative to")] = Path(),
    config: ConfigOption = "completejourney",
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Builds vocabularies, pairs and impressions as TFRecord with Beam.

    Every option not listed here goes to Beam, such as --runner=FlinkRunner; the default runs in this process.
    """
    settings = load_config(config, overrides or ())
    import_quietly("beam_pipelines.build_dataset").build(settings, raw, output, pipeline_args=context.args,
                                                         overwrite=overwrite)
    _next(f"tfrs-pretrain pretrain --dataset {output} --output EMBEDDINGS")


@app.command()
def pretrain(
    dataset: DatasetOption,
    output: Annotated[Path, typer.Option(help="folder to write: the embeddings artifact")],
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Stage I: pretrains the ID embeddings with a contrastive loss."""
    opened, settings = _open_dataset(dataset, config, overrides)
    import_quietly("tfrs_pretrain.pretraining.run").pretrain(settings, opened, output, overwrite=overwrite)
    _next(f"tfrs-pretrain rank --dataset {dataset} --embeddings {output} --arm {settings.export.arm} --output RANKER")


@app.command()
def plan(
    dataset: DatasetOption,
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
    device_gb: Annotated[float | None, typer.Option(
        min=0, help="plan for a device with this memory (10^9 bytes), instead of those of this machine")] = None,
) -> None:
    """Shows what memory each stage needs on each device; exit code 2 and three ways out where one does not fit."""
    opened, settings = _open_dataset(dataset, config, overrides)
    devices = import_quietly("tfrs_pretrain.training.devices")
    planned = devices.local_devices(settings.training) if device_gb is None else (
        devices.Device("the device", int(device_gb * 1e9), 1, host=False),)
    for each in (import_quietly("tfrs_pretrain.pretraining.plan").PretrainingPlan(settings, opened),
                 *import_quietly("tfrs_pretrain.ranking.plan").arm_plans(settings, opened)):
        import_quietly("tfrs_pretrain.training.plan").show_plan(
            each, planned, lambda name: opened.vocabulary(name).counts)


@app.command()
def rank(
    dataset: DatasetOption,
    output: Annotated[Path, typer.Option(help="folder to write: the ranker with its metrics and predictions")],
    arm: Annotated[str, typer.Option(help="which entry of ranking.arms to train")],
    embeddings: Annotated[Path | None, typer.Option(help="folder that `tfrs-pretrain pretrain` wrote; warm starts "
                                                         "need it")] = None,
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Stage II: trains and judges one arm of the ranking model."""
    opened, settings = _open_dataset(dataset, config, overrides)
    stage = import_quietly("tfrs_pretrain.ranking.run")
    manifest = stage.train_arm(settings, opened, arm, output, embeddings=embeddings, overwrite=overwrite)
    test = manifest["metrics"]["test"]
    console.print(f"test AUC {test['auc']:.4f} · log loss {test['log_loss']:.4f} · GAUC {test['gauc']:.4f}")
    _next(f"tfrs-pretrain export --dataset {dataset} --ranker {output}")


@app.command()
def export(
    dataset: DatasetOption,
    ranker: Annotated[Path, typer.Option(help="folder that `tfrs-pretrain rank` wrote")],
    models: ModelsOption = Path("saved_models"),
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Writes a new version of the model for TF Serving, checked against the trained model's scores."""
    opened, settings = _open_dataset(dataset, config, overrides)
    manifest = import_quietly("tfrs_pretrain.serving.export").export(settings, opened, ranker, models)
    console.print(f"wrote {manifest['path']}")


@app.command()
def report(workdir: Annotated[Path, typer.Option(help="folder of a finished run")] = Path("runs/demo")) -> None:
    """Writes results.json and report.html again from a run's artifacts."""
    run = Workdir.reopen(workdir)
    _summarise(import_quietly("tfrs_pretrain.results").write_results(run), workdir)


@app.command(name="config")
def show_config(config: ConfigOption = "completejourney", overrides: SetOption = None) -> None:
    """Prints the resolved configuration, every key with its value."""
    tree = load_config(config, overrides or ()).resolved()
    typer.echo(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def version() -> None:
    """Prints the version."""
    typer.echo(__version__)


def _open_dataset(folder: Path, config: str | None, overrides: list[str] | None) -> tuple[Dataset, Config]:
    """The dataset and the configuration to use with it, which must agree on columns and windows."""
    dataset = Dataset.open(folder)
    built_with = dataset.info["config"]
    settings = load_config(config, overrides or ()) if config else parse_config(
        built_with, overrides or (), origin=f"{folder}/dataset_info.json")
    for section in ("schema", "windows"):
        difference = first_difference(built_with[section], settings.resolved()[section], section)
        if difference:
            raise UserError(f"dataset {str(folder)!r} was built with another configuration, first in {difference}: "
                            "build it again with this configuration, or leave --config away")
    return dataset, settings


def _summarise(results: dict[str, Any], workdir: Path) -> None:
    table = Table("arm", "test AUC", "log loss", "GAUC", title="Ranking on the test window", title_justify="left")
    for arm, metrics in results["arms"].items():
        table.add_row(arm, *(_number(metrics[f"test_{name}"]) for name in ("auc", "log_loss", "gauc")))
    console.print(table)
    losses = " → ".join(f"{loss:.3f}" for loss in results["stage_one"]["heldout_loss"])
    console.print(f"Stage I held-out loss by epoch: {losses}", highlight=False)
    console.print(f"{results['seconds']['total']:.0f} s in all, peak memory {results['peak_rss_bytes'] / 1e9:.1f} GB",
                  highlight=False)
    _next(f"python3 -m webbrowser {workdir / 'report.html'}")


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4f}"


def _next(command: str) -> None:
    console.print(Text("next: ", style="dim").append(command, style="bold"), soft_wrap=True)


def main() -> None:
    """Entry point: what the user can mend is one line on standard error and exit code 2."""
    try:
        app()
    except UserError as error:
        _refuse(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _refuse(f"{error.filename!r}: {error.strerror}: check the path, its permissions and the free space")


def _refuse(message: str) -> None:
    error_console.print(Text("error: ", style="bold red").append(message, style="not bold default"), soft_wrap=True)
    sys.exit(2)
