"""Run a stream: choose settings on its first windows, then carry every arm with every seed over all windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import to_jsonable_python

from tfrs_pretrain.artifact_names import LOGS_KIND, RANKER_KIND
from tfrs_pretrain.artifacts import read_manifest, write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.arms import Arm
from tfrs_pretrain.experiments.definition import Settings
from tfrs_pretrain.experiments.evaluation_ledger import EvaluationLedger
from tfrs_pretrain.experiments.experiment_plan import Selection
from tfrs_pretrain.experiments.output_lock import locked
from tfrs_pretrain.experiments.piece_costs import PieceCosts
from tfrs_pretrain.experiments.pieces import DATASET, EMBEDDINGS, Piece
from tfrs_pretrain.experiments.run import SELECTION_METRIC, experiment_command, seconds_by_part
from tfrs_pretrain.experiments.scheduler import Scheduler
from tfrs_pretrain.experiments.stream_plan import StreamPlan
from tfrs_pretrain.stages import peak_rss_bytes
from tfrs_pretrain.stream_study import Step, StreamedArm, StreamStudy
from tfrs_pretrain.study import Failure


def run_stream(path: Path, output: Path, selection: Selection, *, jobs: int, threads: int) -> StreamStudy:
    """Make all missing pieces, then write and return the stream's study.

    A killed run continues as in ``run_experiment``. Settings are chosen by the mean log loss over the choosing windows,
    with the first seed; later windows are scored for the chosen settings only.

    Args:
      path: experiment file with a section ``stream``.
      output: output folder, locked meanwhile.
      selection: command-line options.
      jobs: number of worker processes.
      threads: compute threads per process.

    Raises:
      UserError: the file is invalid, another process works in the folder, or no run of the baseline succeeded.
      SystemExit: SIGTERM was received (code 143).
    """
    plan = StreamPlan(path, selection)
    with locked(output):
        write_text(output / "experiment.yaml", path.read_text())
        costs, ledger = PieceCosts(output), EvaluationLedger(output)
        with Scheduler(output, jobs, threads, costs) as scheduler:
            chosen, failures = _train(plan, output, scheduler, ledger)
        arms = [_streamed(plan, arm, chosen.get(arm.name), failures, costs, output) for arm in plan.arms]
        used = {need for arm in plan.arms for piece in plan.targets(arm, chosen.get(arm.name))
                for need in piece.with_dependencies()}
        logs = plan.planner.logs
        study = StreamStudy(
            folder=output, title=plan.experiment.title, config=plan.planner.configs.shared.resolved(),
            stream=plan.stream.model_dump(mode="json"), windows=_window_texts(plan), choosing=len(plan.choosing),
            baseline=_baseline(plan, arms), arms=arms, seconds=seconds_by_part(costs, used),
            dataset_seconds=_dataset_seconds(plan, chosen, costs),
            peak_rss_bytes=max(costs.peak_rss_bytes(), peak_rss_bytes()),
            commands=[experiment_command(path, output, selection)],
            logs=read_manifest(logs.folder(output), LOGS_KIND) if logs else None,
            evaluations={arm.name: ledger.count(arm.name) for arm in plan.arms})
        study.save()
        return study


def _train(plan: StreamPlan, output: Path, scheduler: Scheduler, ledger: EvaluationLedger) -> tuple[
        dict[str, Settings], Mapping[Piece, str]]:
    """Choose settings and train. Return arm -> chosen settings, for the arms that have some, and the failures."""
    chosen = {arm.name: arm.candidates[0] for arm in plan.arms if len(arm.candidates) == 1}
    trials = [piece for arm in plan.arms for pieces in plan.trials(arm) for piece in pieces]
    scheduler.run([*trials, *_finals(plan, chosen, ledger)])
    for arm in plan.arms:
        losses = [(loss, index) for index, pieces in enumerate(plan.trials(arm))
                  if (loss := _mean_loss(pieces, output)) is not None]
        if losses:
            chosen[arm.name] = arm.candidates[min(losses)[1]]
    scheduler.run(_finals(plan, chosen, ledger))
    return chosen, scheduler.failures


def _finals(plan: StreamPlan, chosen: Mapping[str, Settings], ledger: EvaluationLedger) -> list[Piece]:
    """Return the rankers of all windows and seeds, and record their settings in the ledger."""
    arms = [arm for arm in plan.arms if arm.name in chosen]
    for arm in arms:
        ledger.add(arm.name, plan.settings_digest(arm, chosen[arm.name]))
    return [piece for seed in plan.seeds for arm in arms for piece in plan.chain(arm, chosen[arm.name], seed)]


def _mean_loss(pieces: Sequence[Piece], output: Path) -> float | None:
    """Return the mean log loss on the judged windows of some rankers; None if one is not finished."""
    if not all(piece.is_finished(output) for piece in pieces):
        return None
    return float(np.mean([_loss(piece.folder(output)) for piece in pieces]))


def _loss(ranker: Path) -> float:
    return float(read_manifest(ranker, RANKER_KIND)["metrics"]["validation"][SELECTION_METRIC])


def _streamed(plan: StreamPlan, arm: Arm, settings: Settings | None, failures: Mapping[Piece, str], costs: PieceCosts,
              output: Path) -> StreamedArm:
    tried = list(zip(arm.candidates, plan.trials(arm), strict=False))
    trials = [{"settings": to_jsonable_python(candidate), "seed": plan.seeds[0], SELECTION_METRIC: loss}
              for candidate, pieces in tried if (loss := _mean_loss(pieces, output)) is not None]
    failed = [Failure(plan.seeds[0], f"trial of {candidate}: {reasons[0]}") for candidate, pieces in tried
              if (reasons := [failures[piece] for piece in pieces if piece in failures])]
    runs: dict[int, Sequence[Step]] = {}
    if settings is None:
        return StreamedArm(arm.name, {}, runs, trials, failed)
    for seed in plan.seeds:
        pieces = plan.chain(arm, settings, seed)
        if reasons := [failures[piece] for piece in pieces if piece in failures]:
            failed.append(Failure(seed, reasons[0]))
        else:
            runs[seed] = _steps(pieces, costs, output)
    return StreamedArm(arm.name, to_jsonable_python(settings), runs, trials, failed)


def _steps(pieces: Sequence[Piece], costs: PieceCosts, output: Path) -> list[Step]:
    """Return the steps of one chain; each counts the rows of Stage I that no earlier one needed."""
    seen: set[Piece] = set()
    steps = []
    for piece in pieces:
        needed = set(piece.with_dependencies()) - seen
        rows = [need for need in needed if need.kind == EMBEDDINGS]
        [dataset] = [need for need in piece.needs[:1] if need.kind == DATASET]
        steps.append(Step(piece.folder(output), dataset.folder(output), {
            "stage_one": costs.seconds(rows), "stage_two": costs.seconds([piece])}))
        seen |= needed
    return steps


def _dataset_seconds(plan: StreamPlan, chosen: Mapping[str, Settings], costs: PieceCosts) -> list[float]:
    """Return the seconds of the datasets of each window but the last, of all arms together."""
    seconds = []
    for number in range(plan.stream.judged):
        needed = {plan.chain(arm, chosen[arm.name], plan.seeds[0])[number].needs[0] for arm in plan.arms
                  if arm.name in chosen}
        seconds.append(costs.seconds(needed))
    return seconds


def _window_texts(plan: StreamPlan) -> list[list[str]]:
    windows = [plan.windows.window(number) for number in range(1, plan.stream.windows + 1)]
    return [[str(window.start), str(window.end)] for window in windows]


def _baseline(plan: StreamPlan, arms: Sequence[StreamedArm]) -> str:
    """Return the baseline; of several, the one with the lowest mean log loss over the choosing windows and seeds.

    Raises:
      UserError: none of them has a run.
    """
    losses = {arm.name: _choosing_loss(arm, len(plan.choosing)) for arm in arms
              if arm.name in plan.baselines and arm.runs}
    if not losses:
        reasons = [failure.reason for arm in arms if arm.name in plan.baselines for failure in arm.failures]
        raise UserError(f"no run of the baseline {' or '.join(plan.baselines)} succeeded, so there is nothing to "
                        f"compare with; first reason: {reasons[0]}")
    return min(losses, key=losses.__getitem__)


def _choosing_loss(arm: StreamedArm, choosing: int) -> float:
    values: list[Any] = [_loss(step.ranker) for steps in arm.runs.values() for step in steps[:choosing]]
    return float(np.mean(values))
