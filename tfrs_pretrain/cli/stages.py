"""The stages in order, and all of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfrs_pretrain.cli.application import app
from tfrs_pretrain.cli.options import (
    ConfigOption,
    DatasetConfigOption,
    DatasetOption,
    ModelsOption,
    OverwriteOption,
    SetOption,
    next_command,
    number,
    open_dataset,
)
from tfrs_pretrain.cli.summary import show_built, summarise
from tfrs_pretrain.config import load_config
from tfrs_pretrain.demo.config import load_demo_config
from tfrs_pretrain.progress import console
from tfrs_pretrain.quiet import import_quietly
from tfrs_pretrain.stages import Workdir


@app.command()
def demo(
    workdir: Annotated[Path, typer.Option(help="folder of the run; finished stages are kept")] = Path("runs/demo"),
    models: ModelsOption = Path("saved_models"),
    config: ConfigOption = "completejourney",
    overrides: SetOption = None,
) -> None:
    """Runs everything on one year of real grocery purchases: raw logs to a served model and a report."""
    settings, logs_settings = load_demo_config(config, overrides or ())
    run = Workdir(workdir, settings)

    stage = import_quietly("tfrs_pretrain.demo.run")
    summarise(stage.run_demo(run, logs_settings, models), workdir)


@app.command()
def logs(
    output: Annotated[Path, typer.Option(help="folder to write: engagements, impressions, items and users as Parquet")],
    config: ConfigOption = "completejourney",
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Turns the bundled completejourney data into an engagement log, derived exposures and side tables."""
    settings, logs_settings = load_demo_config(config, overrides or ())
    import_quietly("tfrs_pretrain.demo.completejourney").write_logs(
        logs_settings, pretrain_end_week=settings.windows.pretrain.bounds[1], seed=settings.seed,
        output=output, overwrite=overwrite)
    next_command(f"tfrs-pretrain dataset --raw {output} --output DATASET")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def dataset(
    context: typer.Context,
    # Text, not paths: they may be URLs.
    output: Annotated[str, typer.Option(help="folder to write, on any file system that Beam knows")],
    raw: Annotated[str, typer.Option(help="folder that dataset.sources are relative to, likewise")] = ".",
    config: ConfigOption = "completejourney",
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
    extend: Annotated[str | None, typer.Option(
        metavar="DATASET", help="an earlier dataset whose ids keep their rows; new ids are appended")] = None,
) -> None:
    """Builds vocabularies, pairs and impressions as TFRecord with Beam.

    Every option not listed here goes to Beam, such as --runner=FlinkRunner; the default runs in this process.
    """
    settings = load_config(config, overrides or ())
    extending = [f"--extend={extend}"] if extend else []
    info = import_quietly("beam_pipelines.build_dataset").build(
        settings, raw, output, pipeline_args=[*context.args, *extending], overwrite=overwrite)
    if "counts" in info:  # a --dry_run builds nothing
        show_built(info)
        next_command(f"tfrs-pretrain pretrain --dataset {output} --output EMBEDDINGS")


@app.command()
def pretrain(
    dataset: DatasetOption,
    output: Annotated[Path, typer.Option(help="folder to write: the embeddings artifact")],
    start_from: Annotated[Path | None, typer.Option(
        metavar="EMBEDDINGS", help="earlier rows, such as last week's: ids that they know start there, the others at "
                                   "random")] = None,
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Stage I: pretrains the ID embeddings with a contrastive loss."""
    opened, settings = open_dataset(dataset, config, overrides)
    import_quietly("tfrs_pretrain.pretraining.run").pretrain(settings, opened, output, start_from=start_from,
                                                             overwrite=overwrite)
    next_command(f"tfrs-pretrain rank --dataset {dataset} --embeddings {output} --arm {settings.export.arm} "
                 "--output RANKER")


@app.command()
def plan(
    dataset: DatasetOption,
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
    device_gb: Annotated[float | None, typer.Option(
        min=0, help="plan for a device with this memory (10^9 bytes), instead of those of this machine")] = None,
) -> None:
    """Shows what memory each stage needs on each device; exit code 2 and three ways out where one does not fit."""
    opened, settings = open_dataset(dataset, config, overrides)
    devices = import_quietly("tfrs_pretrain.training.devices")
    planned = devices.local_devices(settings.training) if device_gb is None else (
        devices.Device("the device", int(device_gb * 1e9), 1, host=False),)
    for each in (import_quietly("tfrs_pretrain.pretraining.memory_plan").PretrainingMemoryPlan(settings, opened),
                 *import_quietly("tfrs_pretrain.ranking.plan").arm_plans(settings, opened)):
        import_quietly("tfrs_pretrain.training.memory_check").show_plan(
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
    test: Annotated[bool, typer.Option(help="score the test impressions; not while you are choosing settings")] = True,
) -> None:
    """Stage II: trains and judges one arm of the ranking model."""
    opened, settings = open_dataset(dataset, config, overrides)
    stage = import_quietly("tfrs_pretrain.ranking.run")
    manifest = stage.train_arm(settings, opened, arm, output, embeddings=embeddings, overwrite=overwrite,
                               test=test)
    for split, metrics in manifest["metrics"].items():
        console.print(f"{split} " + " · ".join(f"{words} {number(metrics[name])}" for name, words in (
            ("auc", "AUC"), ("log_loss", "log loss"), ("gauc", "GAUC"))))
    next_command(f"tfrs-pretrain export --dataset {dataset} --ranker {output}")


@app.command()
def export(
    dataset: DatasetOption,
    ranker: Annotated[Path, typer.Option(help="folder that `tfrs-pretrain rank` wrote")],
    models: ModelsOption = Path("saved_models"),
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Writes a new version of the model for TF Serving, checked against the trained model's scores."""
    opened, settings = open_dataset(dataset, config, overrides)
    manifest = import_quietly("tfrs_pretrain.serving.exporting.export").export(settings, opened, ranker, models)
    for line in import_quietly("tfrs_pretrain.serving.exporting.model_card").check_lines(manifest):
        console.print(line)
    console.print(f"{len(manifest['operations'])} kinds of operations, all of them TensorFlow's own.")
    console.print(f"wrote {manifest['path']}", soft_wrap=True)
