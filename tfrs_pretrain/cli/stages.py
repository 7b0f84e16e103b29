"""Commands of the stages, in order, and of the demo that runs them all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.cli.application import app, formerly
from tfrs_pretrain.cli.joins import show_joins
from tfrs_pretrain.cli.options import (
    ConfigOption,
    DatasetConfigOption,
    DatasetOption,
    JsonOption,
    ModelsOption,
    OverwriteOption,
    RankerOption,
    SetOption,
    SignOption,
    check_writable,
    next_command,
    number,
    open_dataset,
    open_signer,
)
from tfrs_pretrain.cli.summary import show_built, summarize
from tfrs_pretrain.config import load_config
from tfrs_pretrain.demo.config import load_demo_config
from tfrs_pretrain.progress import console
from tfrs_pretrain.quiet import quiet_imports
from tfrs_pretrain.stages import DATASET, Workdir

LogKind = Literal["completejourney", "movies", "shop", "news"]


@app.command()
def demo(
    workdir: Annotated[Path, typer.Option(help="folder of the run; finished stages are kept")] = Path("runs/demo"),
    models: ModelsOption = Path("saved_models"),
    config: ConfigOption = "completejourney",
    overrides: SetOption = None,
) -> None:
    """Runs every stage on one year of real grocery purchases, from raw logs to a served model and a report."""
    settings, logs = load_demo_config(config, overrides or ())
    run = Workdir(workdir, settings)
    with quiet_imports():
        from tfrs_pretrain.demo.run import run_demo
    results = run_demo(run, logs, models)
    tuning = f"tfrs-pretrain tune --dataset {workdir / DATASET} --output {workdir / 'tune'} --minutes 10"
    console.print(Text("choose settings on this data: ", style="dim").append(tuning, style="bold"), soft_wrap=True)
    summarize(results, workdir)


@app.command("demo-logs")
@formerly("logs", "demo-logs")
def demo_logs(
    output: Annotated[Path, typer.Option(help="folder to write")],
    kind: Annotated[LogKind, typer.Option(
        help="**completejourney**: the demo's four tables as Parquet. **movies** (ratings as CSV), **shop** (orders as "
             "Parquet), **news** (clicks as JSON lines): small generated logs to practise with")] = "completejourney",
    config: ConfigOption = "completejourney",
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Writes logs to try the other commands on: the demo's purchases with derived exposures, or generated logs."""
    settings, logs = load_demo_config(config, overrides or ())
    if kind != "completejourney":
        with quiet_imports():
            from tfrs_pretrain.experiments.logs.shapes import write_shape_logs
        write_shape_logs(kind, output, seed=settings.seed, overwrite=overwrite)
        next_command(f"tfrs-pretrain dataset --config {kind}.yaml --raw {output} --output DATASET")
        return
    with quiet_imports():
        from tfrs_pretrain.demo.completejourney import write_logs
    write_logs(logs, pretrain_end_week=settings.windows.pretrain.bounds[1], seed=settings.seed, output=output,
               overwrite=overwrite)
    next_command(f"tfrs-pretrain dataset --raw {output} --output DATASET")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def dataset(
    context: typer.Context,
    # Text, not paths: they may be URLs.
    output: Annotated[str, typer.Option(help="folder to write, on any file system that Beam supports")],
    raw: Annotated[str, typer.Option(help="folder that dataset.sources are relative to, likewise")] = ".",
    config: ConfigOption = "completejourney",
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
    extend: Annotated[str | None, typer.Option(
        metavar="DATASET", help="earlier dataset whose ids keep their rows; new ids get free rows, then "
                                 "rows at the end")] = None,
) -> None:
    """Builds vocabularies, pairs and impressions as TFRecord files with Beam.

    Options that are not listed here are passed to Beam, such as --runner=FlinkRunner; the default runner runs in this
    process.
    """
    settings = load_config(config, overrides or ())
    with quiet_imports():
        from beam_pipelines.build_dataset import build
    extending = [f"--extend={extend}"] if extend else []
    info = build(settings, raw, output, pipeline_args=[*context.args, *extending], overwrite=overwrite)
    if "counts" in info:  # a --dry_run builds nothing
        show_built(info)
        show_joins(info)
        next_command(f"tfrs-pretrain pretrain --dataset {output} --output EMBEDDINGS")


@app.command()
def pretrain(
    dataset: DatasetOption,
    output: Annotated[Path, typer.Option(help="folder to write: the embeddings artifact")],
    start_from: Annotated[Path | None, typer.Option(
        metavar="EMBEDDINGS", help="earlier embeddings, such as last week's: the ids in them start from their rows, "
                                   "other ids start at random")] = None,
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Stage I: pretrains the ID embeddings with a contrastive loss."""
    opened, settings = open_dataset(dataset, config, overrides)
    with quiet_imports():
        from tfrs_pretrain.pretraining.run import pretrain
    pretrain(settings, opened, output, start_from=start_from, overwrite=overwrite)
    next_command(f"tfrs-pretrain train-ranker --dataset {dataset} --embeddings {output} --arm {settings.export.arm} "
                 "--output RANKER")


@app.command("plan-memory")
@formerly("plan", "plan-memory")
def plan_memory(
    dataset: DatasetOption,
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
    device_gb: Annotated[float | None, typer.Option(
        min=0, help="memory of the device to plan for, in 10^9 bytes (default: this machine's devices)")] = None,
    num_devices: Annotated[int, typer.Option(
        "--devices", min=1, help="number of such devices, one replica on each; see training.placement")] = 1,
    host_gb: Annotated[float | None, typer.Option(
        min=0, help="host memory beside these devices, in 10^9 bytes (default: no tables in host memory)")] = None,
) -> None:
    """Shows the memory that each stage needs on each device; exit code 2 with three remedies if one does not fit."""
    opened, settings = open_dataset(dataset, config, overrides)
    with quiet_imports():
        from tfrs_pretrain.pretraining.memory_plan import PretrainingMemoryPlan
        from tfrs_pretrain.ranking.arm_memory_plan import arm_plans
        from tfrs_pretrain.training.devices import planned_devices
        from tfrs_pretrain.training.memory_check import show_plan
        from tfrs_pretrain.training.table_placement import place_tables
    devices = planned_devices(settings.training, device_gb, num_devices, host_gb)
    for plan in (PretrainingMemoryPlan(settings, opened), *arm_plans(settings, opened)):
        place_tables(plan, settings.training, devices)
        show_plan(plan, devices, lambda name: opened.vocabulary(name).counts)


@app.command("train-ranker")
@formerly("rank", "train-ranker")
def train_ranker(
    dataset: DatasetOption,
    output: Annotated[Path, typer.Option(help="folder to write: the ranker, its metrics and its predictions")],
    arm: Annotated[str, typer.Option(help="the entry of ranking.arms to train")],
    embeddings: Annotated[Path | None, typer.Option(help="output folder of `tfrs-pretrain pretrain`; required by arms "
                                                         "that start from pretrained rows")] = None,
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
    test: Annotated[bool, typer.Option(help="score the test impressions; not while choosing settings")] = True,
    start_from: Annotated[Path | None, typer.Option(
        metavar="RANKER", help="earlier ranker, such as last week's: dense weights and the rows of its ids start "
                               "there, other ids start as the arm says")] = None,
    start_from_dataset: Annotated[Path | None, typer.Option(
        metavar="DATASET", help="dataset that the ranker of --start-from was trained on (default: --dataset, if it has "
                                "the same vocabularies)")] = None,
    baseline: Annotated[Path | None, typer.Option(
        metavar="RANKER", help="ranker from scratch that an arm with pretrained rows is compared with on validation "
                               "(default: the best one on validation in a folder beside OUTPUT, of the same dataset "
                               "and settings)")] = None,
    json_file: JsonOption = None,
) -> None:
    """Stage II: trains and evaluates one arm of the ranking model.

    Where a ranker from scratch exists, an arm that starts from pretrained rows says if pretraining does not pay, with
    the likeliest reason and what to try.
    """
    check_writable(json_file)
    opened, settings = open_dataset(dataset, config, overrides)
    with quiet_imports():
        from tfrs_pretrain.ranking.benefit.scratch_ranker import find_scratch_ranker
        from tfrs_pretrain.ranking.run import train_arm
    scratch = baseline or find_scratch_ranker(output, opened, settings)
    trained = train_arm(settings, opened, arm, output, embeddings=embeddings, scratch=scratch, overwrite=overwrite,
                        test=test, start_from=start_from, start_from_dataset=start_from_dataset)
    if json_file:
        write_text(json_file, json.dumps(trained.to_json(), indent=2) + "\n")
    for split, metrics in trained.metrics.items():
        console.print(f"{split} " + " · ".join(f"{words} {number(metrics[name])}" for name, words in (
            ("auc", "AUC"), ("log_loss", "log loss"), ("gauc", "GAUC"))))
    next_command(f"tfrs-pretrain export --dataset {dataset} --ranker {output}")


@app.command()
def export(
    dataset: DatasetOption,
    ranker: RankerOption,
    models: ModelsOption = Path("saved_models"),
    delta_of: Annotated[int | None, typer.Option(
        metavar="VERSION", help="write only what changes in this version and its deltas, as its next delta "
                                "MODELS/<name>/<version>.deltas/NNNNNN")] = None,
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
    sign: SignOption = None,
) -> None:
    """Writes a new version of the model for TF Serving, checked against the trained model's scores."""
    opened, settings = open_dataset(dataset, config, overrides)
    with quiet_imports():
        from tfrs_pretrain.serving.exporting.delta import export_delta
        from tfrs_pretrain.serving.exporting.export import export
    signer = open_signer(sign)
    if delta_of is not None:
        delta = export_delta(settings, opened, ranker, models, delta_of, signer)
        for line in delta.summary():
            console.print(line)
        console.print(f"wrote {delta.path}", soft_wrap=True)
        return
    exported = export(settings, opened, ranker, models, signer=signer)
    for line in exported.report.summary():
        console.print(line)
    console.print(f"{len(exported.report.operations)} kinds of operations, all of them TensorFlow's own.")
    console.print(f"wrote {exported.path}", soft_wrap=True)


@app.command()
def compact(
    version: Annotated[Path, typer.Argument(help="exported version that has deltas: MODELS/<name>/<version>")],
    sign: SignOption = None,
) -> None:
    """Writes a version and its deltas as a new full version, which returns the answers of the last delta's ranker."""
    with quiet_imports():
        from tfrs_pretrain.serving.exporting.compaction import compact
    compacted = compact(version, open_signer(sign))
    for line in compacted.report.summary():
        console.print(line)
    console.print(f"wrote {compacted.path}", soft_wrap=True)
