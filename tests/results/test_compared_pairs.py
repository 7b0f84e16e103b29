"""Pairs of arms to compare, against literals."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tfrs_pretrain.results.pairs import compared_pairs, is_distilled, shared_seeds
from tfrs_pretrain.study import Run, StudiedArm, Trial

TEACHER = {"arm.distillation": {"weight": 0.3}}


def arm(name, settings=None, seeds=(1, 2), trials=()):
    return StudiedArm(name, settings or {}, [Run(seed, Path(name), None, Path("data")) for seed in seeds], trials)


def pairs(*arms, baseline="base"):
    return [(one.name, other.name) for one, other in compared_pairs(SimpleNamespace(arms=arms, baseline=baseline))]


def test_arms_are_compared_with_the_baseline_first_and_then_with_their_twins():
    warm = {"arm.transfer": "warm_start"}
    assert pairs(arm("warm", warm), arm("base"), arm("distilled", warm | TEACHER), arm("cold", TEACHER)) == [
        ("warm", "base"), ("distilled", "base"), ("cold", "base"), ("distilled", "warm")]


def test_arms_without_a_common_seed_or_without_runs_are_not_compared():
    assert pairs(arm("base"), arm("other", seeds=(3,)), arm("failed", seeds=()), arm("some", seeds=(2, 9))) == [
        ("some", "base")]


@pytest.mark.parametrize(("settings", "expected"), [
    ({}, False), (TEACHER, True), ({"arm.distillation.weight": 0.5}, True), ({"arm.distillation": None}, False),
    ({"ranking.distillation": {}}, True), ({"arm.epochs": 3}, False)])
def test_an_arm_is_distilled_if_a_setting_names_a_teacher(settings, expected):
    assert is_distilled(arm("a", settings)) is expected


@pytest.mark.parametrize(("twin", "distilled", "expected"), [
    ({"arm.epochs": 2}, {"arm.epochs": 2}, True),
    ({"arm.epochs": 2}, {"arm.epochs": 3}, False),
    ({"arm.epochs": 2}, {}, False),
    ({"arm.meda": None}, {}, True),  # null is the default
])
def test_a_twin_differs_by_distillation_only(twin, distilled, expected):
    found = pairs(arm("base", {"arm.epochs": 9}), arm("twin", twin), arm("distilled", distilled | TEACHER))
    assert (("distilled", "twin") in found) is expected


def test_settings_that_differ_between_trials_do_not_distinguish_twins():
    def trials(*epochs):
        return [Trial({"arm.epochs": each, "arm.shared": 1}, 1, {"log_loss": 0.5}) for each in epochs]

    base, twin = arm("base", {"arm.other": 1}), arm("twin", {"arm.epochs": 2}, trials=trials(2, 3))
    assert ("distilled", "twin") in pairs(base, twin, arm("distilled", {"arm.epochs": 3} | TEACHER))
    fixed = arm("twin", {"arm.epochs": 2}, trials=trials(2, 2))
    assert ("distilled", "twin") not in pairs(base, fixed, arm("distilled", {"arm.epochs": 3} | TEACHER))


def test_the_baseline_is_compared_once_with_its_distilled_twin():
    assert pairs(arm("base"), arm("distilled", TEACHER)) == [("distilled", "base")]


def test_shared_seeds_are_in_the_order_of_the_first():
    assert shared_seeds(arm("a", seeds=(3, 1, 2)), arm("b", seeds=(1, 3))) == [3, 1]
