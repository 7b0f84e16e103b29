"""``tfrs-pretrain tune``: race candidates, decide, and write the configuration and the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.experiment_plan import Plan, Selection
from tfrs_pretrain.experiments.output_lock import locked
from tfrs_pretrain.experiments.piece_costs import PieceCosts
from tfrs_pretrain.experiments.scheduler import Scheduler
from tfrs_pretrain.json_documents import document_text
from tfrs_pretrain.reporting.tuning_page import write_page
from tfrs_pretrain.tuning.budget import Budget
from tfrs_pretrain.tuning.candidates import DEFAULT, Settings
from tfrs_pretrain.tuning.chosen_config import chosen_config
from tfrs_pretrain.tuning.decision import Difference, paired_difference
from tfrs_pretrain.tuning.halving import schedule
from tfrs_pretrain.tuning.race import NO_TIME, Race, RungResult
from tfrs_pretrain.tuning.race_file import write_race
from tfrs_pretrain.tuning.result import candidates_json, contender, decision_json, rungs_json, total_seconds

RESULT, CONFIG, PAGE = "tune.json", "tuned.yaml", "tune.html"
VALIDATION = IMPRESSION_SPLITS[1]


@dataclasses.dataclass(frozen=True)
class Effort:
    """Extent of a race.

    Attributes:
      minutes: wall-clock time of all calls together.
      seeds: number of seeds in the last rung, at least 2.
      jobs: number of worker processes.
      threads: compute threads per process.
    """

    minutes: float
    seeds: int
    jobs: int
    threads: int


def tune(config: Config, dataset: Dataset, output: Path, *, arm: str, candidates: Mapping[str, Settings], metric: str,
         effort: Effort) -> dict[str, Any]:
    """Race candidates against a configuration on validation, and write the chosen configuration.

    The test impressions are not read. A killed call continues: finished pieces are kept, unfinished ones continue from
    their checkpoints, and the time that was used counts.

    Args:
      config: the default, which takes part.
      dataset: a finished dataset.
      output: folder to write: ``tuned.yaml``, ``tune.json``, ``tune.html``, and the pieces.
      arm: name in ``ranking.arms`` of the arm to tune.
      candidates: name -> settings.
      metric: log_loss, auc or gauc.
      effort: extent of the race.

    Returns:
      content of ``tune.json``.

    Raises:
      UserError: validation has no impressions or one label only, the arm is unknown, a candidate is invalid, the
        default cannot be trained, or another process works in the folder.
      SystemExit: SIGTERM was received (code 143).
    """
    check_arm(config, arm)
    check_validation(dataset)
    output.mkdir(parents=True, exist_ok=True)
    with locked(output):
        seeds = [config.seed + index for index in range(effort.seeds)]
        plan = _plan(config, dataset, output, arm, candidates, seeds)
        costs = PieceCosts(output)
        budget = Budget(effort.minutes, costs)
        with Scheduler(output, effort.jobs, effort.threads, costs) as scheduler:
            race = Race(plan, output, scheduler, metric, budget)
            rungs = race.run(schedule(len(plan.arms) - 1, effort.seeds))
        _check_default(rungs[0])
        best = contender(rungs)
        difference = _difference(race, rungs, best, metric, output) if best else None
        chosen = best[0] if best and difference and difference.is_better else DEFAULT
        settings = race.arms[chosen].candidates[0]
        written = chosen_config(config, arm, settings, str(output / CONFIG))
        write_race(output, config, arm, {name: each.candidates[0] for name, each in race.arms.items()
                                         if name != DEFAULT}, seeds)
        result = {"dataset": str(dataset.folder), "arm": arm, "metric": metric, "minutes": effort.minutes,
                  "seconds": budget.used(), "work_seconds": total_seconds(race, rungs, costs),
                  "decision": decision_json(chosen, best, difference, rungs, metric), "settings": settings,
                  "candidates": candidates_json(race, rungs, chosen, costs), "rungs": rungs_json(rungs, metric),
                  "validation": dict(dataset.info["splits"][VALIDATION], shards=None)}
        _write(output, result, written)
        return result


def check_arm(config: Config, arm: str) -> str:
    """Return the name of an arm.

    Raises:
      UserError: the configuration has no such arm.
    """
    if arm not in config.ranking.arms:
        raise UserError(f"arm {arm!r} is not in ranking.arms: name one of {sorted(config.ranking.arms)}")
    return arm


def check_validation(dataset: Dataset) -> None:
    """Check that candidates can be compared on validation.

    Raises:
      UserError: there are no validation impressions, or all have the same label.
    """
    split = dataset.info["splits"].get(VALIDATION, {"examples": 0})
    what = f"dataset {str(dataset.folder)!r}: candidates are compared on validation impressions, "
    if not split["examples"]:
        raise UserError(what + "but there are none: widen windows.validation, and build the dataset again")
    if split["label_rate"] in (0, 1):
        raise UserError(what + f"but all {split['examples']:,} have the label {split['label_rate']:g}: widen "
                               "windows.validation, and build the dataset again")


def _plan(config: Config, dataset: Dataset, output: Path, arm: str, candidates: Mapping[str, Settings],
          seeds: list[int]) -> Plan:
    """Return the plan of the default and the candidates that differ from it and from each other."""
    plan = Plan(write_race(output, config, arm, candidates, seeds), Selection(dataset.folder))
    distinct = {plan.settings_digest(each, each.candidates[0]): each for each in reversed(plan.arms)}
    plan.arms = [each for each in plan.arms if each in distinct.values()]
    if len(plan.arms) == 1:
        raise UserError(f"every candidate has the settings of arm {arm!r}, so there is nothing to choose: name others "
                        "with --candidates")
    return plan


def _check_default(first: RungResult) -> None:
    reason = first.left_out.get(DEFAULT, NO_TIME)
    if reason != NO_TIME:
        raise UserError("the configuration without changes cannot be trained, so there is nothing to compare "
                        f"candidates with: {reason}")


def _difference(race: Race, rungs: list[RungResult], best: tuple[str, int], metric: str, output: Path) -> Difference:
    name, index = best
    seeds = len(rungs[index].seeds)
    candidate, default = ([piece.folder(output) for piece in race.pieces(each, seeds)] for each in (name, DEFAULT))
    return paired_difference(candidate, default, metric)


def _write(output: Path, result: dict[str, Any], config: Config) -> None:
    text = yaml.safe_dump(config.resolved(), sort_keys=False, allow_unicode=True)
    heading = f"# Chosen by tfrs-pretrain tune: {result['decision']['reason']}.\n"
    write_text(output / CONFIG, heading + text)
    write_page(output / PAGE, result, text)
    write_text(output / RESULT, document_text(result))
