"""Run an experiment: choose settings on validation, then train every arm with every seed."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from pydantic_core import to_jsonable_python

from tfrs_pretrain.artifact_names import LOGS_KIND, PREDICTIONS_FOLDER, RANKER_KIND
from tfrs_pretrain.artifacts import artifact_file, read_manifest, write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.arm_configs import ARM_PREFIX
from tfrs_pretrain.experiments.arms import Arm
from tfrs_pretrain.experiments.definition import Settings
from tfrs_pretrain.experiments.evaluation_ledger import EvaluationLedger
from tfrs_pretrain.experiments.experiment_plan import Plan, Selection
from tfrs_pretrain.experiments.output_lock import locked
from tfrs_pretrain.experiments.piece_costs import PieceCosts
from tfrs_pretrain.experiments.pieces import DATASET, EMBEDDINGS, LOGS, RANKER, Piece
from tfrs_pretrain.experiments.scheduler import Scheduler
from tfrs_pretrain.schema import KEY
from tfrs_pretrain.stages import peak_rss_bytes
from tfrs_pretrain.study import Failure, Run, StudiedArm, Study, Trial

SELECTION_METRIC = "log_loss"  # on the validation impressions; the lowest value wins


def run_experiment(path: Path, output: Path, selection: Selection, *, jobs: int, threads: int) -> Study:
    """Make all missing pieces, then write and return the study.

    A killed run continues: finished pieces are kept, unfinished ones continue from their checkpoints. Settings are
    chosen on validation; test is scored for the chosen settings only.

    Args:
      path: experiment file.
      output: output folder, locked while the experiment runs.
      selection: command-line options.
      jobs: number of worker processes.
      threads: compute threads per process.

    Raises:
      UserError: the file is invalid, another process works in the folder, or no run of the baseline succeeded.
      SystemExit: SIGTERM was received (code 143).
    """
    plan = Plan(path, selection)
    with locked(output):
        write_text(output / "experiment.yaml", path.read_text())
        costs, ledger = PieceCosts(output), EvaluationLedger(output)
        with Scheduler(output, jobs, threads, costs) as scheduler:
            chosen, failures = _train(plan, output, scheduler, ledger)
        arms = [_studied(plan, arm, chosen.get(arm.name), failures, output) for arm in plan.arms]
        arms = _with_same_test_impressions(arms, baseline := _baseline(plan, arms))
        used = [need for arm in plan.arms for piece in plan.targets(arm, chosen.get(arm.name))
                for need in piece.with_dependencies()]
        study = Study(
            folder=output, title=plan.experiment.title, config=plan.planner.configs.shared, baseline=baseline,
            arms=arms, seconds=seconds_by_part(costs, used),
            peak_rss_bytes=max(costs.peak_rss_bytes(), peak_rss_bytes()),
            commands=[experiment_command(path, output, selection)],
            logs=read_manifest(logs.folder(output), LOGS_KIND) if (logs := plan.planner.logs) else None,
            test_evaluations={arm.name: ledger.count(arm.name) for arm in plan.arms})
        study.save()
        return study


def _train(plan: Plan, output: Path, scheduler: Scheduler, ledger: EvaluationLedger) -> tuple[
        dict[str, Settings], Mapping[Piece, str]]:
    """Choose settings and train. Return arm -> chosen settings, for the arms that have some, and the failures."""
    chosen = {arm.name: arm.candidates[0] for arm in plan.arms if len(arm.candidates) == 1}
    scheduler.run([*(piece for arm in plan.arms for piece in plan.trials(arm)), *_finals(plan, chosen, ledger)])
    for arm in plan.arms:
        best = choose([_validation(piece, output) for piece in plan.trials(arm)])
        if best is not None:
            chosen[arm.name] = arm.candidates[best]
    scheduler.run(_finals(plan, chosen, ledger))
    return chosen, scheduler.failures


def choose(validations: Sequence[Mapping[str, float] | None]) -> int | None:
    """Return the index of the candidate with the lowest validation log loss, the first of equals; None without any."""
    evaluated = [(metrics[SELECTION_METRIC], index) for index, metrics in enumerate(validations) if metrics]
    return min(evaluated)[1] if evaluated else None


def _finals(plan: Plan, chosen: Mapping[str, Settings], ledger: EvaluationLedger) -> list[Piece]:
    """Return the rankers to evaluate on test, and record them in the ledger."""
    arms = [arm for arm in plan.arms if arm.name in chosen]
    for arm in arms:
        ledger.add(arm.name, plan.settings_digest(arm, chosen[arm.name]))
    return [plan.ranker(arm, chosen[arm.name], seed) for seed in plan.seeds for arm in arms]


def _validation(piece: Piece, output: Path) -> dict[str, float] | None:
    """Return the validation metrics of a ranker; None if it is not finished."""
    if not piece.is_finished(output):
        return None
    metrics = read_manifest(piece.folder(output), RANKER_KIND)["metrics"]["validation"]
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


def _studied(plan: Plan, arm: Arm, settings: Settings | None, failures: Mapping[Piece, str], output: Path
             ) -> StudiedArm:
    tried = list(zip(arm.candidates, plan.trials(arm), strict=False))
    trials = [Trial(to_jsonable_python(candidate), plan.seeds[0], metrics) for candidate, piece in tried
              if (metrics := _validation(piece, output))]
    failed = [Failure(plan.seeds[0], f"trial of {candidate}: {failures[piece]}") for candidate, piece in tried
              if piece in failures]
    if settings is None:
        return StudiedArm(arm.name, {}, (), trials, failed)
    runs, dataset = [], plan.planner.dataset_folder(plan.config(arm, settings), output)
    for seed in plan.seeds:
        piece = plan.ranker(arm, settings, seed)
        if piece in failures:
            failed.append(Failure(seed, failures[piece]))
            continue
        rows = [need for need in piece.needs if need.kind == EMBEDDINGS]
        runs.append(Run(seed, piece.folder(output), rows[0].folder(output) if rows else None, dataset))
    teacher = {f"{ARM_PREFIX}distillation.teacher": arm.teacher} if arm.teacher else {}
    return StudiedArm(arm.name, to_jsonable_python(settings) | teacher, runs, trials, failed)


def _baseline(plan: Plan, arms: Sequence[StudiedArm]) -> str:
    """Return the baseline; of several, the one with the lowest mean validation log loss over its seeds.

    Raises:
      UserError: none of them has a run.
    """
    names = plan.baselines
    losses = {arm.name: float(np.mean([read_manifest(run.ranker, RANKER_KIND)["metrics"]["validation"][SELECTION_METRIC]
                                       for run in arm.runs])) for arm in arms if arm.name in names and arm.runs}
    if not losses:
        reasons = [failure.reason for arm in arms if arm.name in names for failure in arm.failures]
        raise UserError(f"no run of the baseline {' or '.join(names)} succeeded, so there is nothing to compare "
                        f"with; first reason: {reasons[0]}")
    return min(losses, key=losses.__getitem__)


def _with_same_test_impressions(arms: Sequence[StudiedArm], baseline: str) -> list[StudiedArm]:
    """Drop runs whose test impressions are not the baseline's: differences between them would mean nothing."""
    first = next(arm.runs[0] for arm in arms if arm.name == baseline)
    expected, keys = _test_keys(first), {first.dataset: _test_keys(first)}
    checked = []
    for arm in arms:
        for run in arm.runs:
            if run.dataset not in keys:
                keys[run.dataset] = _test_keys(run)
        other = [run for run in arm.runs if not np.array_equal(keys[run.dataset], expected)]
        failures = [Failure(run.seed, f"it was tested on {len(keys[run.dataset])} impressions that are not the "
                                      f"{len(expected)} of {baseline!r}") for run in other]
        checked.append(dataclasses.replace(arm, runs=[run for run in arm.runs if run not in other],
                                           failures=[*arm.failures, *failures]))
    return checked


def _test_keys(run: Run) -> np.ndarray:
    """int64 [n], sorted."""
    path = artifact_file(run.ranker, RANKER_KIND, f"{PREDICTIONS_FOLDER}/test.parquet")
    return np.sort(pq.read_table(path, columns=[KEY])[KEY].to_numpy())


def seconds_by_part(costs: PieceCosts, pieces: Collection[Piece]) -> dict[str, float]:
    """Return seconds by part, summed over pieces that ran in parallel; ``total`` is wall-clock time of all commands."""
    parts = {"data": (LOGS, DATASET), "stage_one": (EMBEDDINGS,), "stage_two": (RANKER,)}
    seconds = {name: costs.seconds(piece for piece in set(pieces) if piece.kind in kinds)
               for name, kinds in parts.items()}
    return {**seconds, "total": costs.wall_seconds}


def experiment_command(path: Path, output: Path, selection: Selection) -> str:
    """Return the shell command that reproduces an experiment."""
    output = output.parent if selection.log else output
    words = ["tfrs-pretrain", "experiment", str(path), "--output", str(output)]
    words += ["--log", selection.log] if selection.log else []
    prefix = f"{selection.log}=" if selection.log else ""
    words += ["--data", f"{prefix}{selection.data}"] if selection.data else []
    words += [word for arm in selection.arms for word in ("--arm", arm)]
    words += [word for seed in selection.seeds for word in ("--seed", str(seed))]
    return shlex.join(words)
