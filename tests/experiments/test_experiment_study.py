"""How run.py derives the study from finished pieces: baseline, seconds, command, runs and trials."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.experiment_plan import Selection
from tfrs_pretrain.experiments.piece_costs import PieceCosts
from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.experiments.run import _baseline, _studied, choose, experiment_command, seconds_by_part
from tfrs_pretrain.study import Failure, Run, StudiedArm


def finish(folder, log_loss=0.5, **metrics):
    """Write the manifest of a finished ranker."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({
        "kind": "ranker",
        "metrics": {"validation": {"log_loss": log_loss, "by_bucket": [1], "gauc": None, **metrics}}}))


@pytest.mark.parametrize(("losses", "expected"), [
    ([0.5, None, 0.3, 0.3], 2), ([0.1], 0), ([None, None], None), ([], None), ([0.3, 0.2], 1)])
def test_the_first_of_the_lowest_losses_is_chosen(losses, expected):
    assert choose([loss and {"log_loss": loss, "auc": 1 - loss} for loss in losses]) == expected


def studied(tmp_path, **losses):
    arms = []
    for name, by_seed in losses.items():
        for seed, loss in enumerate(by_seed):
            finish(tmp_path / f"{name}-{seed}", loss)
        arms.append(StudiedArm(name, {}, [Run(seed, tmp_path / f"{name}-{seed}", None, tmp_path)
                                          for seed in range(len(by_seed))], (), (Failure(9, f"{name} diverged"),)))
    return arms


def test_the_baseline_has_the_lowest_mean_validation_loss(tmp_path):
    arms = studied(tmp_path, lowest=[0.1], first=[0.2, 0.6], second=[0.3, 0.3], failed=[])
    assert _baseline(SimpleNamespace(baselines=["first", "second", "failed"]), arms) == "second"
    assert _baseline(SimpleNamespace(baselines=["first"]), arms) == "first"
    with pytest.raises(UserError, match=r"no run of the baseline failed succeeded, .*; first reason: failed diverged"):
        _baseline(SimpleNamespace(baselines=["failed"]), arms)


def test_seconds_are_summed_by_part_and_a_shared_piece_counts_once(tmp_path):
    costs = PieceCosts(tmp_path)
    pieces = [Piece(kind, "p", {}) for kind in ("logs", "dataset", "embeddings", "ranker")]
    for seconds, piece in enumerate(pieces, 1):
        costs.add(piece, float(seconds), 1)
    costs.wall_seconds = 6.5
    assert seconds_by_part(costs, [*pieces, *pieces]) == {"data": 3.0, "stage_one": 3.0, "stage_two": 4.0, "total": 6.5}


@pytest.mark.parametrize(("selection", "expected"), [
    (Selection(), ""),
    (Selection(Path("my data"), ["a", "b"], [3, 4]), " --data 'my data' --arm a --arm b --seed 3 --seed 4")])
def test_the_command_repeats_the_selection(selection, expected):
    command = experiment_command(Path("x.yaml"), Path("out"), selection)
    assert command == f"tfrs-pretrain experiment x.yaml --output out{expected}"


WARM = {"arm.transfer": "warm_start"}


def test_a_studied_arm_has_its_runs_with_their_inputs(plan, tmp_path):
    planned = plan({"scratch": None, "warm": {"set": WARM}})
    failures = {planned.ranker(planned.arms[1], WARM, 2): "it diverged"}
    scratch, warm = (_studied(planned, arm, arm.candidates[0], failures, tmp_path) for arm in planned.arms)
    rankers = [planned.ranker(planned.arms[1], WARM, seed) for seed in (1, 2)]
    dataset, rows = rankers[0].needs
    assert warm.runs == [Run(1, rankers[0].folder(tmp_path), rows.folder(tmp_path), dataset.folder(tmp_path))]
    assert warm.failures == [Failure(2, "it diverged")]
    assert (warm.settings, warm.trials) == (WARM, [])
    assert [run.embeddings for run in scratch.runs] == [None, None]


def test_a_student_names_its_teachers_arm(plan, tmp_path):
    planned = plan({"scratch": None, "student": {"teacher": "scratch"}})
    assert _studied(planned, planned.arms[1], {}, {}, tmp_path).settings == {"arm.distillation.teacher": "scratch"}


def test_trials_have_numeric_metrics_and_failed_trials_are_failures(plan, tmp_path):
    planned = plan({"scratch": None, "tuned": {"choose": {"arm.epochs": [1, 2, 3]}}})
    tuned = planned.arms[1]
    first, second, _ = planned.trials(tuned)
    finish(first.folder(tmp_path), 0.4, auc=0.7)
    arm = _studied(planned, tuned, None, {second: "killed"}, tmp_path)
    [trial] = arm.trials
    assert (trial.settings, trial.seed, trial.validation) == ({"arm.epochs": 1}, 1, {"log_loss": 0.4, "auc": 0.7})
    assert arm.failures == [Failure(1, "trial of {'arm.epochs': 2}: killed")]
    assert (arm.settings, arm.runs) == ({}, ())
