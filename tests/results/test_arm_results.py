"""Results of one arm: statistics over seeds, kinds, curves, trials."""

import math
from pathlib import Path

import pytest

from tfrs_pretrain.results.arm_kind import arm_kind
from tfrs_pretrain.results.arms import _trials, arm_results, over_seeds, validation_curve
from tfrs_pretrain.study import StudiedArm, Trial


@pytest.mark.parametrize(("values", "expected"), [
    ([0.5], (0.5, [0.5], None)),
    ([0.1, 0.3], (0.2, [0.1, 0.3], math.sqrt(0.02))),  # divided by n - 1
    ([0.1, None], (None, [0.1, None], None)),
    ([0.1, float("nan")], (None, [0.1, None], None)),
    ([None], (None, [None], None)),
])
def test_statistics_over_seeds(values, expected):
    mean, by_seed, deviation = expected
    assert over_seeds(values) == {
        "mean": None if mean is None else pytest.approx(mean), "by_seed": by_seed,
        "sd": None if deviation is None else pytest.approx(deviation)}


def manifest(transfer="scratch", embeddings=None, **settings):
    return {"arm": "a", "transfer": transfer, "embeddings": embeddings,
            "config": {"ranking": {"arms": {"a": settings}}}}


def arm(**settings):
    return StudiedArm("a", {key.replace("__", "."): value for key, value in settings.items()}, ())


@pytest.mark.parametrize(("settings", "found", "kind", "remedies"), [
    ({}, manifest(), "scratch", []),
    ({}, manifest(meda={"epochs": 2}), "one-epoch remedy", ["meda"]),
    ({}, manifest(interval_decay=0.0), "scratch", []),
    ({"ranking__embedding_l2": 0.1}, manifest(), "one-epoch remedy", ["embedding_l2"]),
    ({"ranking__early_stopping": False}, manifest(early_stopping=True), "scratch", []),
    ({"pretraining__embedding_l2": 0.1}, manifest(), "scratch", []),
    ({}, manifest("warm_start", {"tables": {}}, early_stopping=True), "two-stage", ["early_stopping"]),
])
def test_the_kind_of_an_arm(settings, found, kind, remedies):
    entry = arm_kind(arm(**settings), found)
    assert (entry["kind"], entry["remedies"], entry["teacher"]) == (kind, remedies, None)


def test_the_transfer_is_by_id_space():
    assert arm_kind(arm(), manifest("frozen", {}))["transfer"] == {"user": "frozen", "item": "frozen"}
    mixed = {"user": "scratch", "item": "warm_start"}
    assert arm_kind(arm(), manifest(mixed, {}))["transfer"] == mixed


def test_the_teacher_of_another_arm_is_named_by_the_arm():
    distillation = {"teacher": {"kind": "fixed", "path": "/folder/of/a/ranker"}, "weight": 0.3}
    found = manifest(distillation=distillation)
    assert arm_kind(arm(), found)["teacher"] is None
    assert arm_kind(arm(arm__distillation={"weight": 0.3}), found)["teacher"] == distillation
    assert arm_kind(arm(**{"arm.distillation.teacher": "scratch_2"}), found)["teacher"] == {
        "teacher": {"kind": "fixed", "path": "scratch_2"}, "weight": 0.3}


def test_epoch_ends_are_the_curve_of_a_run_without_mid_epoch_evaluations():
    epochs = [{"epoch": epoch, "examples": examples, "train": {"loss": 0.9},
               "validation": {"log_loss": loss, "auc": 0.6}} for epoch, examples, loss in ((1, 100, 0.5), (2, 60, 0.4))]
    assert [(point["epoch"], point["examples"], point["log_loss"], point["train_loss"])
            for point in validation_curve({"epochs": epochs, "curve": []})] == [
                (1.0, 100, 0.5, 0.9), (2.0, 160, 0.4, 0.9)]


def test_the_first_trial_with_the_lowest_loss_is_chosen():
    trials = [Trial({"a": index}, 1, {"log_loss": loss}) for index, loss in enumerate((0.5, 0.3, 0.3))]
    assert [trial["chosen"] for trial in _trials(trials)] == [False, True, False]
    assert _trials(trials)[1] == {"settings": {"a": 1}, "seed": 1, "validation": {"log_loss": 0.3}, "chosen": True}
    assert _trials([]) == []


def test_an_arm_without_runs_has_only_settings_and_failures(study):
    entry = arm_results(study.arms[3], None, Path("unused"), None)
    assert entry == {"settings": {"arm.table_learning_rate": 9.0}, "seeds": [], "test_evaluations": None, "trials": [],
                     "failures": [{"seed": 1, "reason": "the loss is not finite"}]}
