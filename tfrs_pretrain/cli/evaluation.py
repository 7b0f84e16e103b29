"""Commands that evaluate: evaluate, promote, roll-back, diagnose, experiment, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.cli.application import FAILED, REFUSED, app
from tfrs_pretrain.cli.options import (
    DatasetConfigOption,
    JsonOption,
    ModelArgument,
    ModelsConfigOption,
    PublicKeyOption,
    ScoreOption,
    ServerOption,
    SetOption,
    SplitOption,
    WaitOption,
    check_writable,
    open_dataset,
    reader,
)
from tfrs_pretrain.cli.summary import summarize
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console
from tfrs_pretrain.quiet import quiet_imports
from tfrs_pretrain.study import Study


@app.command()
def evaluate(
    model: ModelArgument,
    against: Annotated[Path | None, typer.Option(
        help="compare with this model: differences are MODEL minus this one")] = None,
    slices: Annotated[list[str] | None, typer.Option(
        "--slice", metavar="FEATURE", help="slice by this categorical feature; repeatable. Slices by item frequency, "
                                           "new items and new users are always shown")] = None,
    dataset: ScoreOption = None,
    split: SplitOption = "test",
    label: Annotated[str, typer.Option(help="the label of the ranker to evaluate")] = "label",
    replicates: Annotated[int, typer.Option(min=1, help="bootstrap samples of users")] = 1000,
    confidence: Annotated[float, typer.Option(help="confidence level of the intervals, between 0 and 1")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="seed of the bootstrap")] = 17,
    json_file: JsonOption = None,
) -> None:
    """Evaluates a model, or compares two, with confidence intervals by user.

    MODEL is an output folder of `tfrs-pretrain train-ranker`, or an exported version whose ranker folder still exists.
    """
    if not 0 < confidence < 1:
        raise UserError(f"--confidence {confidence:g} is not between 0 and 1")
    check_writable(json_file)
    with quiet_imports():
        from tfrs_pretrain.evaluation.bootstrap import Resampling
        from tfrs_pretrain.evaluation.evaluate import evaluate
        from tfrs_pretrain.evaluation.show import show_evaluation
    result = evaluate(model, against, split=split, label=label, slices=slices or (),
                      resampling=Resampling(replicates, confidence, seed), **reader(dataset))
    if json_file:
        write_text(json_file, json.dumps(result.to_json(), indent=2) + "\n")
    show_evaluation(result, console)


@app.command()
def promote(
    candidate: ModelArgument,
    gate: Annotated[str, typer.Option(help="YAML file with the requirements on the candidate")],
    live: Annotated[Path | None, typer.Option(help="ranker folder or exported version that serves now")] = None,
    first: Annotated[bool, typer.Option("--first", help="there is no live model: skip comparisons")] = False,
    dataset: ScoreOption = None,
    json_file: Annotated[Path | None, typer.Option(
        "--json", metavar="FILE", help="file of the verdict (default: CANDIDATE.promotion.json)")] = None,
    label: Annotated[str | None, typer.Option(help="assign this label to a promoted version in --models-config, such "
                                                   "as canary or stable")] = None,
    models_config: ModelsConfigOption = Path("saved_models/models.config"),
    server: ServerOption = None,
    wait: WaitOption = 120.0,
    public_key: PublicKeyOption = None,
) -> None:
    """Decides whether a candidate may replace the live model: exit code 0 if promoted, 3 if refused.

    The verdict is a JSON file with the numbers of every check. --label requires an exported version: a promoted
    candidate receives the label, and the version that had it stays loaded for `roll-back`. TF Serving refuses a label
    that moves to a version that is not loaded, so --models-config is edited twice: with --server in one call, without
    it in two calls of the same command. An example of a gate:

    ```yaml
    min_impressions: 10000
    thresholds: {auc: {min: 0.7}, calibration: {min: 0.9, max: 1.1}}
    non_inferior: {auc: 0.001, log_loss: 0.001}  # margins to LIVE
    slices:
      items=new: {non_inferior: {auc: 0.01}}
    ```
    """
    if first == (live is not None):
        raise UserError("promote needs either --live MODEL, or --first for the first promotion")
    check_writable(json_file)
    with quiet_imports():
        from tfrs_pretrain.config.gate import load_gate
        from tfrs_pretrain.evaluation import promotion
        from tfrs_pretrain.evaluation.show import show_promotion
        from tfrs_pretrain.serving.labels.promotion import LabelMove
        from tfrs_pretrain.serving.labels.served_model import ServedModel
        from tfrs_pretrain.serving.signing import check_signatures
    settings = load_gate(gate)
    if label:
        check_signatures([candidate], public_key)
        label_move = LabelMove.plan(candidate, models_config, label)
    result = promotion.promote(candidate, settings, live, **reader(dataset))
    path = json_file or result.default_path
    result.write(path)
    show_promotion(result, console)
    console.print(f"wrote {path}", soft_wrap=True)
    if result.verdict == promotion.REFUSED:
        raise typer.Exit(REFUSED)
    if label:
        served = ServedModel(server, label_move.name, wait) if server else None
        console.print(label_move.execute(served), soft_wrap=True)


@app.command("roll-back")
def roll_back(
    model: Annotated[str, typer.Argument(help="model name")],
    label: Annotated[str, typer.Option(help="the label to move back")] = "stable",
    models_config: ModelsConfigOption = Path("saved_models/models.config"),
    server: ServerOption = None,
    wait: WaitOption = 120.0,
    undo: Annotated[bool, typer.Option("--undo", help="move the label to the version that a rollback left")] = False,
    public_key: PublicKeyOption = None,
) -> None:
    """Moves a label back to the version that it named before. The same call again changes nothing.

    With --server, exit code 0 means that the server answers the label with the earlier version.
    """
    with quiet_imports():
        from tfrs_pretrain.serving.labels.models_config import folder_of, model_entry
        from tfrs_pretrain.serving.labels.moves import (
            PREVIOUS,
            ROLLED_BACK,
            previous_version,
            rolled_back_version,
        )
        from tfrs_pretrain.serving.labels.rollout import Rollout
        from tfrs_pretrain.serving.labels.served_model import ServedModel
        from tfrs_pretrain.serving.signing import check_signatures
    served = ServedModel(server, model, wait) if server else None
    version = (rolled_back_version if undo else previous_version)(models_config, model, label)
    check_signatures([folder_of(model_entry(models_config, model), models_config) / str(version)], public_key)
    move = Rollout(models_config, model, label, version, served, PREVIOUS if undo else ROLLED_BACK)
    console.print(move.run(), soft_wrap=True)


@app.command()
def diagnose(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="output folder of `tfrs-pretrain dataset`")],
    output: Annotated[Path, typer.Option(help="folder to write: diagnosis.json and the pretrained rows")],
    embeddings: Annotated[Path | None, typer.Option(
        help="output folder of `tfrs-pretrain pretrain` (default: pretrain the rows here)")] = None,
    controls: Annotated[list[str] | None, typer.Option(
        "--control", metavar="NAME", help="run only this control beside the ranker as configured; repeatable "
                                          "(default: all)")] = None,
    epochs: Annotated[int, typer.Option(min=2, help="passes over the training impressions")] = 2,
    points: Annotated[int, typer.Option(min=2, help="evaluations in each epoch")] = 8,
    seeds: Annotated[int, typer.Option(min=1, help="runs of each control; seeds count up from the configured one")] = 1,
    impressions: Annotated[int, typer.Option(min=1, help="validation impressions in each evaluation")] = 1 << 15,
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Diagnoses the one-epoch phenomenon: whether it occurs, which ids cause it, whether pretraining removes it.

    Trains the ranker as `ranking` configures it, from scratch and without a teacher, for several epochs, and evaluates
    held-out log loss many times in each. Repeats this without user ids, without item ids, without both, with frozen
    random rows, with new rows at the epoch border, and with pretrained rows. Does not read test impressions.
    """
    opened, settings = open_dataset(dataset, config, overrides)
    with quiet_imports():
        from tfrs_pretrain.diagnosis.controls import CHANGES
        from tfrs_pretrain.diagnosis.diagnosis import Extent
        from tfrs_pretrain.diagnosis.run import FILE, diagnose
        from tfrs_pretrain.diagnosis.show import show_diagnosis
        from tfrs_pretrain.evaluation.bootstrap import Resampling
    unknown = [name for name in controls or () if name not in CHANGES]
    if unknown:
        raise UserError(f"--control {unknown[0]!r} is unknown: name one of {list(CHANGES)}")
    result = diagnose(settings, opened, output, controls=controls or list(CHANGES), embeddings=embeddings,
                      extent=Extent(epochs, points, seeds, impressions), resampling=Resampling(500))
    show_diagnosis(result, console)
    console.print(f"wrote {output / FILE}", soft_wrap=True)


@app.command()
def experiment(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML file; examples are in experiments/")],
    output: Annotated[Path, typer.Option(help="folder of the experiment; finished parts are reused")],
    data: Annotated[list[str] | None, typer.Option(
        metavar="FOLDER", help="folder of the logs or the dataset, for an experiment that does not make its own; with "
                               "several logs NAME=FOLDER, repeatable")] = None,
    logs: Annotated[list[str] | None, typer.Option(
        "--log", metavar="NAME", help="with several logs, run only this one; repeatable. By default, all that are "
                                      "generated or have --data")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes (default: one per core, if memory allows)")] = None,
    arms: Annotated[list[str] | None, typer.Option(
        "--arm", metavar="NAME", help="run only this arm and the baseline; repeatable")] = None,
    seeds: Annotated[list[int] | None, typer.Option(
        "--seed", min=0, metavar="NUMBER", help="use this seed instead of the file's seeds; repeatable")] = None,
    dry_run: Annotated[bool, typer.Option(
        "--dry-run", help="show what would be made or removed, without doing it")] = False,
    prune: Annotated[bool, typer.Option(
        "--prune", help="run nothing; list the parts that neither this file nor the report needs, and remove them "
                        "after confirmation")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="prune without confirmation")] = False,
) -> None:
    """Compares ways to train: arms times seeds of both stages, settings chosen on validation, each tested once.

    Parts that arms share (logs, dataset, pretrained rows) are made once. A run that was stopped or killed continues
    with the same command. A file with several logs has a report for each, OUTPUT/NAME, and a summary of all. Exit code
    1 if a run failed.
    """
    with quiet_imports():
        from tfrs_pretrain.cli.experiments import ExperimentCommand
    command = ExperimentCommand(file, output, arms or (), seeds or (), jobs, dry_run=dry_run, prune=prune, ask=not yes)
    if not command.run(logs or (), data or ()):
        raise typer.Exit(FAILED)


@app.command()
def report(
    workdir: Annotated[Path, typer.Argument(
        metavar="WORKDIR", help="folder of a finished `demo` or `experiment`")] = Path("runs/demo"),
) -> None:
    """Rewrites results.json, report.html and report.md from a study's artifacts."""
    with quiet_imports():
        from tfrs_pretrain.reporting.study_report import write_study
    summarize(write_study(Study.open(workdir)), workdir)
