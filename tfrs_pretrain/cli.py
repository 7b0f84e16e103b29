"""``tfrs-pretrain``: the whole job, and each of its stages alone.

Stages are imported when they run: `--help`, a mistyped option or a missing folder must not wait for TensorFlow.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.table import Table
from rich.text import Text

from tfrs_pretrain import __version__
from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.config import BUNDLED, Config, first_difference, load_config, parse_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console, error_console
from tfrs_pretrain.quiet import import_quietly
from tfrs_pretrain.stages import Workdir

FAILED, REFUSED = 1, 3

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
ModelArgument = Annotated[Path, typer.Argument(help="ranker folder, or exported version")]
SplitOption = Annotated[str, typer.Option(help="impressions to judge by: test or validation")]
ScoreOption = Annotated[Path | None, typer.Option(
    "--dataset", help="score this dataset's impressions instead of reading the predictions that were stored; its "
                      "vocabularies must be those that the models were trained with")]
ModelsOption = Annotated[Path, typer.Option(help="where versions go: MODELS/<name>/<version>")]
ModelsConfigOption = Annotated[Path, typer.Option(help="TF Serving's list of models with their labels")]
VersionOption = Annotated[int | None, typer.Option("--version", help="ask this version (default: the newest)")]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="write all of it as JSON")]


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
    test: Annotated[bool, typer.Option(help="score the test impressions; not while you are choosing settings")] = True,
) -> None:
    """Stage II: trains and judges one arm of the ranking model."""
    opened, settings = _open_dataset(dataset, config, overrides)
    stage = import_quietly("tfrs_pretrain.ranking.run")
    manifest = stage.train_arm(settings, opened, arm, output, embeddings=embeddings, overwrite=overwrite,
                               test=test)
    for split, metrics in manifest["metrics"].items():
        console.print(f"{split} " + " · ".join(f"{words} {_number(metrics[name])}" for name, words in (
            ("auc", "AUC"), ("log_loss", "log loss"), ("gauc", "GAUC"))))
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
    for line in import_quietly("tfrs_pretrain.serving.card").check_lines(manifest):
        console.print(line)
    console.print(f"{len(manifest['operations'])} kinds of operations, all of them TensorFlow's own.")
    console.print(f"wrote {manifest['path']}", soft_wrap=True)


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
    _next(f"tfrs-pretrain recommend USER_ID --dataset DATASET --embeddings {embeddings} --index {output} "
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


@app.command()
def evaluate(
    model: ModelArgument,
    against: Annotated[Path | None, typer.Option(help="compare with this one: differences are MODEL minus it")] = None,
    slices: Annotated[list[str] | None, typer.Option(
        "--slice", metavar="FEATURE", help="slice by this categorical feature; may be repeated. Item frequency, new "
                                           "items and new users are always shown")] = None,
    dataset: ScoreOption = None,
    split: SplitOption = "test",
    label: Annotated[str, typer.Option(help="which of the ranker's labels to judge")] = "label",
    replicates: Annotated[int, typer.Option(min=1, help="draws of users behind the intervals")] = 1000,
    confidence: Annotated[float, typer.Option(help="of the intervals, between 0 and 1")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="of the draws")] = 17,
    json_file: JsonOption = None,
) -> None:
    """Judges a model, or two side by side, with confidence intervals by user.

    MODEL is a folder that `tfrs-pretrain rank` wrote, or an exported version whose ranker still lies where it was.
    """
    if not 0 < confidence < 1:
        raise UserError(f"--confidence {confidence:g} is not between 0 and 1")
    _check_writable(json_file)
    stage = import_quietly("tfrs_pretrain.evaluation.evaluate")
    resampling = import_quietly("tfrs_pretrain.evaluation.bootstrap").Resampling(replicates, confidence, seed)
    result = stage.evaluate(model, against, split=split, label=label, slices=slices or (), resampling=resampling,
                            **_reader(dataset))
    if json_file:
        write_text(json_file, json.dumps(result, indent=2) + "\n")
    import_quietly("tfrs_pretrain.evaluation.table").show(result, console)


@app.command()
def promote(
    candidate: ModelArgument,
    gate: Annotated[str, typer.Option(help="YAML file with what is asked of the candidate")],
    live: Annotated[Path | None, typer.Option(help="ranker folder, or exported version, that serves now")] = None,
    first: Annotated[bool, typer.Option("--first", help="there is no live model: leave out what needs one")] = False,
    dataset: ScoreOption = None,
    json_file: Annotated[Path | None, typer.Option(
        "--json", metavar="FILE", help="where the verdict goes (default: CANDIDATE.promotion.json)")] = None,
    label: Annotated[str | None, typer.Option(help="give a promoted version this label in --models-config, such as "
                                                   "canary or stable")] = None,
    models_config: ModelsConfigOption = Path("saved_models/models.config"),
) -> None:
    """Decides whether a candidate may replace the live model: exit code 0 if promoted, 3 if refused.

    The verdict is a JSON file with the numbers of every check. With --label, which needs an exported version, a
    promoted candidate gets the label; the version that had it stays loaded for `roll-back`. A gate, for example:

    ```yaml
    min_impressions: 10000
    thresholds: {auc: {min: 0.7}, calibration: {min: 0.9, max: 1.1}}
    non_inferior: {auc: 0.001, log_loss: 0.001}  # margins to LIVE
    slices:
      items=new: {non_inferior: {auc: 0.01}}
    ```
    """
    if first == (live is not None):
        raise UserError("promote needs either --live MODEL, or --first for the first promotion of all")
    _check_writable(json_file)
    settings = import_quietly("tfrs_pretrain.config.gate").load_gate(gate)
    if label:
        labels = import_quietly("tfrs_pretrain.serving.labels")
        labelled = labels.Labelled.of(candidate, models_config, label)
    stage = import_quietly("tfrs_pretrain.evaluation.promotion")
    verdict = stage.promote(candidate, settings, live, **_reader(dataset))
    path = json_file or stage.verdict_path(verdict)
    stage.write_verdict(verdict, path)
    import_quietly("tfrs_pretrain.evaluation.table").show_verdict(verdict, console)
    console.print(f"wrote {path}", soft_wrap=True)
    if verdict["verdict"] == stage.REFUSED:
        raise typer.Exit(REFUSED)
    if label:
        console.print(labelled.move(), soft_wrap=True)


@app.command("roll-back")
def roll_back(
    model: Annotated[str, typer.Argument(help="name of the model")],
    label: Annotated[str, typer.Option(help="the label to point back")] = "stable",
    models_config: ModelsConfigOption = Path("saved_models/models.config"),
) -> None:
    """Points a label at the version it named before; once more undoes it."""
    before, after = import_quietly("tfrs_pretrain.serving.models_config").roll_back(models_config, model, label)
    console.print(f"{models_config}: label {label} of {model} goes from version {before} to {after}", soft_wrap=True)


@app.command()
def serve(
    models_config: ModelsConfigOption = Path("saved_models/models.config"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC; 0: any that is free")] = 8500,
    rest_port: Annotated[int, typer.Option(min=0, max=65535, help="REST; 0: any that is free")] = 8501,
    poll_seconds: Annotated[float, typer.Option(min=0.05, help="between looks at configuration and folders")] = 1.0,
) -> None:
    """Serves exported models on this machine, for development only.

    It has TF Serving's gRPC and REST interfaces, loads versions as it does and follows the labels of --models-config,
    but it is one Python process on the loopback interface. Production runs the tensorflow/serving image: see
    saved_models/README.md.
    """
    import_quietly("tfrs_pretrain.serving.models_config").read_models_config(models_config)
    stage = import_quietly("tfrs_pretrain.serving.server.run")
    stage.serve(models_config, stage.Ports(port, rest_port), poll_seconds, lambda server: console.print(
        f"development server (production: the tensorflow/serving image) · gRPC {server.grpc} · REST {server.rest} · "
        "Ctrl-C stops it", soft_wrap=True, highlight=False))


@app.command()
def query(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT", help="gRPC, or REST with --rest")],
    model: Annotated[str, typer.Argument(help="name of the model")],
    verb: Annotated[str, typer.Argument(help="predict, rank, predict_examples, classify, regress, user_embedding, "
                                             "item_embedding, status or metadata")] = "status",
    request: Annotated[Path, typer.Option(help="JSON file with the request (- reads standard input)")] = Path("-"),
    rest: Annotated[bool, typer.Option("--rest", help="ask over REST")] = False,
    number: VersionOption = None,
    label: Annotated[str | None, typer.Option(help="ask the version with this label")] = None,
    timeout: Annotated[float, typer.Option(min=0.001, help="seconds, retries included")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Asks a running server: JSON in, a table or JSON out.

    For example: `echo '[1367]' | tfrs-pretrain query localhost:8500 completejourney_ranker user_embedding`
    """
    stage = import_quietly("tfrs_pretrain.serving.client.query")
    answer = stage.query_server(server, model, verb, request, rest=rest, version=number, label=label, timeout=timeout)
    if as_json:
        typer.echo(json.dumps(answer))
    else:
        stage.show(verb, answer, console)


@app.command("verify-server")
def verify_server(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT", help="gRPC")],
    model: Annotated[Path, typer.Option(help="exported version that should be served: MODELS/<name>/<version>")],
    rest: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="check the REST interface too")] = None,
    models_config: Annotated[Path | None, typer.Option(help="check that the labels of this file are served")] = None,
    requests: Annotated[int, typer.Option(min=0, help="for the latencies; 0 measures none")] = 200,
    concurrency: Annotated[int, typer.Option(min=1, help="clients at once")] = 4,
    max_qps: Annotated[float | None, typer.Option(help="requests a second at most (default: no bound)")] = None,
    signature: Annotated[str, typer.Option(help="whose golden request the latencies are of")] = "serving_default",
    timeout: Annotated[float, typer.Option(min=0.001, help="seconds a request")] = 10.0,
    json_file: JsonOption = None,
) -> None:
    """Compares a running server with an exported version: exit code 0 if nothing differs, 3 if something does.

    Replays the golden requests of every signature, compares signatures, dtypes and shapes, versions and labels, and
    measures latency and throughput under a bounded load whose answers are compared too.
    """
    _check_writable(json_file)
    stage = import_quietly("tfrs_pretrain.serving.verification.run")
    load = import_quietly("tfrs_pretrain.serving.verification.load").Load(requests, concurrency, max_qps)
    result = stage.verify(stage.Server(server, rest, timeout), model, models_config=models_config, load=load,
                          signature=signature)
    if json_file:
        write_text(json_file, json.dumps(result, indent=2) + "\n")
    import_quietly("tfrs_pretrain.serving.verification.table").show(result, console)
    if not result["passed"]:
        raise typer.Exit(REFUSED)


@app.command()
def diagnose(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="folder that `tfrs-pretrain dataset` wrote")],
    output: Annotated[Path, typer.Option(help="folder for diagnosis.json and the pretrained rows")],
    embeddings: Annotated[Path | None, typer.Option(
        help="folder that `tfrs-pretrain pretrain` wrote; without it the rows are pretrained here")] = None,
    controls: Annotated[list[str] | None, typer.Option(
        "--control", metavar="NAME", help="run only these beside the ranker as configured; may be repeated "
                                          "(default: all)")] = None,
    epochs: Annotated[int, typer.Option(min=2, help="passes over the training impressions")] = 2,
    points: Annotated[int, typer.Option(min=2, help="looks at the validation impressions in each")] = 8,
    seeds: Annotated[int, typer.Option(min=1, help="runs of each control, from the configuration's seed on")] = 1,
    impressions: Annotated[int, typer.Option(min=1, help="validation impressions to look at")] = 1 << 15,
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Does the ranker suffer from the one-epoch phenomenon, which ids cause it, and does pretraining cure it?

    Trains the ranker as `ranking` configures it, from scratch and without a teacher, over several epochs, and looks at
    held-out log loss many times in each; then again without user ids, without item ids, without both, with frozen
    random rows, with new rows at the border, and with pretrained rows. Test impressions are left alone.
    """
    opened, settings = _open_dataset(dataset, config, overrides)
    known = list(import_quietly("tfrs_pretrain.diagnosis.controls").CHANGES)
    unknown = [name for name in controls or () if name not in known]
    if unknown:
        raise UserError(f"--control {unknown[0]!r} is unknown: name one of {known}")
    stage = import_quietly("tfrs_pretrain.diagnosis.run")
    result = stage.diagnose(settings, opened, output, controls=controls or known, embeddings=embeddings,
                            extent=stage.Extent(epochs, points, seeds, impressions),
                            resampling=import_quietly("tfrs_pretrain.evaluation.bootstrap").Resampling(500))
    import_quietly("tfrs_pretrain.diagnosis.table").show(result, console)
    console.print(f"wrote {output / stage.FILE}", soft_wrap=True)


@app.command()
def experiment(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML file of the experiment; experiments/ has some")],
    output: Annotated[Path, typer.Option(help="folder of the experiment; finished pieces are kept")],
    data: Annotated[Path | None, typer.Option(
        help="folder of the logs or the dataset, where the experiment does not make its own")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes (default: one a core, if memory allows)")] = None,
    arms: Annotated[list[str] | None, typer.Option(
        "--arm", metavar="NAME", help="run only this arm beside the baseline; may be repeated")] = None,
    seeds: Annotated[list[int] | None, typer.Option(
        "--seed", metavar="NUMBER", help="use this seed instead of the file's; may be repeated")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would be made, and make nothing")] = False,
) -> None:
    """Compares ways to train: arms times seeds of both stages, chosen on validation, tested once.

    Pieces that arms share (logs, dataset, pretrained rows) are made once; a run that was stopped or killed continues
    with the same command. Exit code 1 if a run failed.
    """
    planning = import_quietly("tfrs_pretrain.experiments.plan")
    show = import_quietly("tfrs_pretrain.experiments.show")
    selection = planning.Selection(data, arms or (), seeds or ())
    jobs = jobs or import_quietly("tfrs_pretrain.experiments.workers").default_jobs()
    if dry_run:
        show.show_plan(planning.Plan(file, selection), output, jobs, console)
        return
    study = import_quietly("tfrs_pretrain.experiments.run").run_experiment(
        file, output, selection, jobs=jobs, threads=max(1, (os.cpu_count() or 1) // jobs))
    _summarise(import_quietly("tfrs_pretrain.results").write_study(study), output)
    if show.show_failures(study, console):
        raise typer.Exit(FAILED)


@app.command()
def report(
    workdir: Annotated[Path, typer.Argument(
        metavar="WORKDIR", help="folder of a finished `demo` or `experiment`")] = Path("runs/demo"),
) -> None:
    """Writes results.json, report.html and report.md again from a study's artifacts."""
    study = import_quietly("tfrs_pretrain.study").Study.open(workdir)
    _summarise(import_quietly("tfrs_pretrain.results").write_study(study), workdir)


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


def _reader(dataset: Path | None) -> dict[str, Any]:
    """The argument that makes models score a dataset; none where their stored predictions do."""
    if dataset is None:
        return {}
    opened = Dataset.open(dataset)
    return {"read": import_quietly("tfrs_pretrain.ranking.rescore").scoring(opened)}


def _assignments(texts: Sequence[str]) -> dict[str, str]:
    """Feature -> value of FEATURE=VALUE."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"--context {text!r}: write it as FEATURE=VALUE")
        found[name] = value
    return found


def _check_writable(path: Path | None) -> None:
    """Minutes of work must not end in a path that cannot be written."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise UserError(f"output {str(path)!r} cannot be written: name a file in a folder that exists")


def _summarise(results: dict[str, Any], workdir: Path) -> None:
    """Shows a study's arms, each mean over its seeds."""
    seeds = len(results["seeds"])
    table = Table("arm", "test AUC", "log loss", "GAUC", f"AUC, log loss against {results['baseline']}",
                  title=f"Ranking on the test window{f', mean of {seeds} seeds' if seeds > 1 else ''}",
                  title_justify="left")
    compared = {entry["arm"]: entry for entry in results["comparisons"] if entry["against"] == results["baseline"]}
    for arm, found in results["arms"].items():
        metrics = [_number(found.get(f"test_{name}")) for name in ("auc", "log_loss", "gauc")]
        verdicts = [compared[arm][name]["verdict"] for name in ("auc", "log_loss")] if arm in compared else ["—"]
        table.add_row(Text(arm), *metrics, ", ".join(dict.fromkeys(verdicts)) if "test" in found else "did not finish")
    console.print(table)
    if results["stage_one"]:
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
