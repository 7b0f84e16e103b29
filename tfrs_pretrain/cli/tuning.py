"""The command that chooses settings: tune."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.cli.application import app
from tfrs_pretrain.cli.options import (
    DatasetConfigOption,
    DatasetOption,
    JsonOption,
    SetOption,
    check_writable,
    next_command,
    open_dataset,
)
from tfrs_pretrain.progress import console
from tfrs_pretrain.quiet import quiet_imports


class Metric(StrEnum):
    """Metrics of validation to choose by."""

    log_loss = "log_loss"
    auc = "auc"
    gauc = "gauc"


@app.command()
def tune(
    dataset: DatasetOption,
    output: Annotated[Path, typer.Option(help="folder to write: tuned.yaml, tune.html, tune.json, and the parts that "
                                              "the same command reuses")],
    minutes: Annotated[float, typer.Option(min=0, help="wall-clock time of all calls with this folder together")] = 30,
    arm: Annotated[str | None, typer.Option(help="the entry of ranking.arms to tune (default: export.arm)")] = None,
    candidates: Annotated[Path | None, typer.Option(
        metavar="FILE", help="YAML file of candidates (default: a built-in list)")] = None,
    metric: Annotated[Metric, typer.Option(help="metric of the validation impressions to choose by")] = Metric.log_loss,
    seeds: Annotated[int, typer.Option(min=2, help="seeds of the last candidates; they count up from the configured "
                                                   "one")] = 4,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes (default: one per core, if memory allows)")] = None,
    json_file: JsonOption = None,
    config: DatasetConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Chooses settings of both stages on validation within a time budget. Does not read test impressions.

    Candidates change one thing each: temperature, epochs, columns and popularity prior of Stage I; rates, scale, cold
    ids and fresh columns of the transfer; or no pretraining at all. All are trained with one seed; each further rung
    trains the better half with more seeds (successive halving). A candidate is chosen only if it is better than the
    configuration as it is beyond the standard error of the paired difference; otherwise nothing is changed.

    A call that was stopped or killed continues with the same command. More --minutes continue a finished race.
    """
    check_writable(json_file)
    opened, settings = open_dataset(dataset, config, overrides)
    with quiet_imports():
        from tfrs_pretrain.experiments.workers import default_jobs
        from tfrs_pretrain.pretraining.num_epochs import num_epochs
        from tfrs_pretrain.tuning.candidates import builtin_candidates, load_candidates
        from tfrs_pretrain.tuning.run import CONFIG, PAGE, Effort, check_arm, tune
        from tfrs_pretrain.tuning.show import show_tuning
    name = check_arm(settings, arm or settings.export.arm)
    # Candidates halve and double the number.
    stage = settings.pretraining.model_copy(update={"epochs": num_epochs(settings.pretraining, opened)})
    explicit = settings.model_copy(update={"pretraining": stage})
    racing = load_candidates(candidates, explicit, name) if candidates else builtin_candidates(explicit, name)
    workers = jobs or default_jobs()
    effort = Effort(minutes, seeds, workers, threads=max(1, (os.cpu_count() or 1) // workers))
    result = tune(settings, opened, output, arm=name, candidates=racing, metric=metric.value, effort=effort)
    if json_file:
        write_text(json_file, json.dumps(result, indent=2) + "\n")
    show_tuning(result, console)
    console.print(f"wrote {output / CONFIG} and {output / PAGE}", soft_wrap=True)
    next_command(f"tfrs-pretrain pretrain --dataset {dataset} --config {output / CONFIG} --output EMBEDDINGS")
