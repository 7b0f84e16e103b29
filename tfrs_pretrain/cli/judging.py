"""Is it better, and does the data need it: evaluate, promote, diagnose, experiment, report."""

from __future__ import annotations

import functools
import json
import os
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
    ScoreOption,
    SetOption,
    SplitOption,
    check_writable,
    open_dataset,
    reader,
)
from tfrs_pretrain.cli.summary import summarise
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console
from tfrs_pretrain.quiet import import_quietly


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
    check_writable(json_file)
    stage = import_quietly("tfrs_pretrain.evaluation.evaluate")
    resampling = import_quietly("tfrs_pretrain.evaluation.bootstrap").Resampling(replicates, confidence, seed)
    result = stage.evaluate(model, against, split=split, label=label, slices=slices or (), resampling=resampling,
                            **reader(dataset))
    if json_file:
        write_text(json_file, json.dumps(result.to_json(), indent=2) + "\n")
    import_quietly("tfrs_pretrain.evaluation.show").show_evaluation(result, console)


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
    check_writable(json_file)
    settings = import_quietly("tfrs_pretrain.config.gate").load_gate(gate)
    if label:
        labels = import_quietly("tfrs_pretrain.serving.labels.promotion")
        labelled = labels.LabelMove.of(candidate, models_config, label)
    stage = import_quietly("tfrs_pretrain.evaluation.promotion")
    promotion = stage.promote(candidate, settings, live, **reader(dataset))
    path = json_file or promotion.default_path
    promotion.write(path)
    import_quietly("tfrs_pretrain.evaluation.show").show_promotion(promotion, console)
    console.print(f"wrote {path}", soft_wrap=True)
    if promotion.verdict == stage.REFUSED:
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
    before, after = import_quietly("tfrs_pretrain.serving.labels.models_config").roll_back(models_config, model, label)
    console.print(f"{models_config}: label {label} of {model} goes from version {before} to {after}", soft_wrap=True)


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
    opened, settings = open_dataset(dataset, config, overrides)
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
        "--seed", min=0, metavar="NUMBER", help="use this seed instead of the file's; may be repeated")] = None,
    dry_run: Annotated[bool, typer.Option(
        "--dry-run", help="show what would be made or removed, and do nothing")] = False,
    prune: Annotated[bool, typer.Option(
        "--prune", help="run nothing; list the pieces that neither this file nor the report needs, and remove them "
                        "after a question")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="remove them without a question")] = False,
) -> None:
    """Compares ways to train: arms times seeds of both stages, chosen on validation, tested once.

    Pieces that arms share (logs, dataset, pretrained rows) are made once; a run that was stopped or killed continues
    with the same command. Exit code 1 if a run failed.
    """
    planning = import_quietly("tfrs_pretrain.experiments.plan")
    show = import_quietly("tfrs_pretrain.experiments.show")
    selection = planning.Selection(data, arms or (), seeds or ())
    if prune:
        agrees = functools.partial(show.agrees_to_remove, console=console, ask=not yes, dry_run=dry_run)
        import_quietly("tfrs_pretrain.experiments.prune").prune(file, output, selection, agrees)
        return
    jobs = jobs or import_quietly("tfrs_pretrain.experiments.workers").default_jobs()
    if dry_run:
        show.show_plan(planning.Plan(file, selection), output, jobs, console)
        return
    study = import_quietly("tfrs_pretrain.experiments.run").run_experiment(
        file, output, selection, jobs=jobs, threads=max(1, (os.cpu_count() or 1) // jobs))
    summarise(import_quietly("tfrs_pretrain.reporting.study_report").write_study(study), output)
    if show.show_failures(study, console):
        raise typer.Exit(FAILED)


@app.command()
def report(
    workdir: Annotated[Path, typer.Argument(
        metavar="WORKDIR", help="folder of a finished `demo` or `experiment`")] = Path("runs/demo"),
) -> None:
    """Writes results.json, report.html and report.md again from a study's artifacts."""
    study = import_quietly("tfrs_pretrain.study").Study.open(workdir)
    summarise(import_quietly("tfrs_pretrain.reporting.study_report").write_study(study), workdir)
