"""A race with a table of values instead of trainings, against a naive twin."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.arms import Arm
from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.tuning.decision import Difference
from tfrs_pretrain.tuning.halving import schedule
from tfrs_pretrain.tuning.race import Race
from tfrs_pretrain.tuning.result import contender, decision_json, rungs_json

SEEDS = [7, 8, 9, 10]


class FakePlan:
    """Arms whose rankers are pieces named after arm and seed."""

    seeds = SEEDS

    def __init__(self, arms):
        self.arms = [Arm(name, name, (settings,), None) for name, settings in arms.items()]

    def ranker(self, arm, settings, seed, *, test):
        assert not test
        return Piece("ranker", f"{arm.name}-{seed}", {"name": arm.name, "seed": seed})

    def config(self, arm, settings):
        if settings.get("bad") and "-and-" in arm.name:
            raise UserError("does not fit")
        trained = SimpleNamespace(pretrained_tables="scratch" not in arm.name)
        return SimpleNamespace(ranking=SimpleNamespace(arms={"any": trained}))


class FakeScheduler:
    """Writes a ranker's manifest with the value of a table, in order, up to a number of runs."""

    def __init__(self, folder, values, metric, runs=10**6):
        self.folder, self.values, self.metric, self.runs = folder, values, metric, runs
        self.failures, self.made, self.limits = {}, [], []

    def run(self, pieces, limit):
        self.limits.append(limit)
        for piece in pieces:
            value = self.values(piece.task["name"], piece.task["seed"])
            if isinstance(value, str):
                self.failures[piece] = value
            elif not piece.is_finished(self.folder) and len(self.made) < self.runs:
                piece.folder(self.folder).mkdir(parents=True)
                write_manifest(piece.folder(self.folder), "ranker", {"metrics": {"validation": {self.metric: value}}})
                self.made.append(piece.name)


class FakeBudget:
    def limit(self, share):
        return share


def unchanged(*names):
    return {name: {} for name in ("default", *names)}


def race(folder, arms, values, *, metric="log_loss", runs=10**6, seeds=4):
    scheduler = FakeScheduler(folder, values, metric, runs)
    racing = Race(FakePlan(arms), folder, scheduler, metric, FakeBudget())
    return racing.run(schedule(len(arms) - 1, seeds)), scheduler, racing


def naive_race(names, values, sign):
    """Names and means of each rung, best first."""
    rungs, racing = [], list(names)
    for count in (1, 2, 4):
        means = {name: np.mean([values[name, seed] for seed in SEEDS[:count]]) for name in ["default", *racing]}
        order = sorted(means, key=lambda name: sign * means[name])
        rungs.append([(name, means[name]) for name in order])
        racing = [name for name in order if name != "default"]
        racing = racing[:math.ceil(len(racing) / 2)]
    return rungs


@pytest.mark.parametrize("metric", ["log_loss", "auc"])
@pytest.mark.parametrize("number", [1, 2, 5, 9])
def test_each_rung_trains_the_better_half_with_further_seeds(tmp_path, metric, number):
    names = [f"c{index}" for index in range(number)]
    random = np.random.default_rng(number)
    values = {(name, seed): float(random.random()) for name in ["default", *names] for seed in SEEDS}
    rungs, scheduler, _ = race(tmp_path, unchanged(*names), lambda *key: values[key], metric=metric)
    naive = naive_race(names, values, 1 if metric == "log_loss" else -1)
    assert [[(name, pytest.approx(rung.mean(name))) for name in rung.values] for rung in rungs] == naive
    assert len(scheduler.made) == len(set(scheduler.made)) == sum(
        len(rung) * new for rung, new in zip(naive, (1, 1, 2), strict=True))
    assert scheduler.limits == [rung.finish_by for rung in schedule(number, 4)]
    assert scheduler.made[0] == "default-7"


def test_the_best_change_of_each_stage_joins_the_second_rung_together(tmp_path):
    arms = {"default": {}, "scratch": {"arm.transfer": "scratch"}, "soft": {"pretraining.epochs": 3},
            "softer": {"pretraining.epochs": 4}, "rate": {"arm.transfer.evidence": 1}, "worse": {"arm.epochs": 9}}
    value = {"default": .5, "scratch": .1, "soft": .4, "softer": .3, "rate": .45, "worse": .9, "softer-and-rate": .2}
    rungs, _, racing = race(tmp_path, arms, lambda name, seed: value[name])
    assert rungs[0].kept == ["scratch", "softer", "soft", "softer-and-rate"]
    assert racing.arms["softer-and-rate"].candidates[0] == {"pretraining.epochs": 4, "arm.transfer.evidence": 1}
    assert list(rungs[1].values) == ["scratch", "softer-and-rate", "softer", "soft", "default"]
    assert rungs_json(rungs, "log_loss")[0]["joined"] == ["softer-and-rate"]
    gains = [entry["gain"] for entry in rungs_json(rungs, "log_loss")[1]["entries"]]
    assert gains == pytest.approx([.4, .3, .2, .1, 0])


@pytest.mark.parametrize("arms", [
    {"soft": {"pretraining.epochs": 3}, "other": {"pretraining.epochs": 4}},  # one stage only
    {"soft": {"pretraining.epochs": 3}, "late": {"arm.transfer": 1}},  # the second is worse than the default
    {"soft": {"pretraining.epochs": 3, "bad": 1}, "other": {"arm.transfer": 1}},  # they do not fit together
])
def test_nothing_is_combined_without_two_better_changes_that_fit(tmp_path, arms):
    value = {"soft": .1, "other": .2, "late": .9, "default": .5}
    rungs, _, _ = race(tmp_path, {"default": {}, **arms}, lambda name, seed: value[name])
    assert not any("-and-" in name for rung in rungs for name in rung.values)


def test_a_candidate_that_fails_or_has_no_value_is_left_out_with_its_reason(tmp_path):
    value = {"default": .5, "a": "the loss is not finite", "b": None, "c": .4}
    rungs, _, _ = race(tmp_path, unchanged("a", "b", "c"), lambda name, seed: value[name])
    assert rungs[0].left_out == {"a": "the loss is not finite", "b": "its log_loss on validation is undefined"}
    assert list(rungs[-1].values) == ["c", "default"]
    assert len(rungs) == 3


@pytest.mark.parametrize("runs", range(12))
def test_a_race_that_runs_out_of_time_compares_what_finished_and_names_the_rest(tmp_path, runs):
    names = ["a", "b", "c", "d"]
    rungs, scheduler, _ = race(tmp_path, unchanged(*names),
                               lambda name, seed: "default abcd".index(name[0]) + seed / 100, runs=runs)
    assert len(scheduler.made) == runs
    for rung in rungs:
        assert set(rung.left_out.values()) <= {"no time left"}
    assert len(rungs[0].values) == min(runs, 5)
    best = contender(rungs)
    # Two candidates and the default need a second seed after the first five runs; the first candidate is next in line.
    assert (best is not None) == (runs >= 7)
    assert json.dumps(rungs_json(rungs, "log_loss"))
    if best:
        assert best[1] == (1 if runs < 12 else 2)


def test_a_repeated_race_makes_nothing_and_a_killed_one_continues(tmp_path):
    arms = unchanged("a", "b", "c")
    values = {"default": .5, "a": .4, "b": .3, "c": .2}
    whole, first, _ = race(tmp_path / "whole", arms, lambda name, seed: values[name])
    race(tmp_path / "killed", arms, lambda name, seed: values[name], runs=5)
    continued, second, _ = race(tmp_path / "killed", arms, lambda name, seed: values[name])
    assert continued == whole
    assert len(second.made) == len(first.made) - 5
    again, third, _ = race(tmp_path / "killed", arms, lambda name, seed: values[name])
    assert (again, third.made) == (whole, [])


def test_the_reason_says_whether_the_default_is_kept(tmp_path):
    values = {"default": .5, "a": .4}
    rungs, _, _ = race(tmp_path, unchanged("a"), lambda name, seed: values[name])
    assert contender(rungs) == ("a", 2)
    better, equal, worse = (decision_json(chosen, ("a", 2), Difference(gain, 0.003, 0.004), rungs, "log_loss")["reason"]
                            for chosen, gain in (("a", 0.1), ("default", 0.005), ("default", -0.1)))
    assert better == ("candidate a is 0.1000 better than the default in validation log loss (standard error 0.0050, 4 "
                      "seeds)")
    assert equal == ("the best candidate, a, is 0.0050 better than the default in validation log loss (standard error "
                     "0.0050, 4 seeds); that is not beyond the standard error, so the default is kept")
    assert "0.1000 worse than the default" in worse
    assert "repeat the command with more --minutes" in decision_json("default", None, None, rungs, "auc")["reason"]
