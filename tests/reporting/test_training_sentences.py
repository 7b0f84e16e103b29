"""Sentences about training, curves over seeds and labels of Stage I, against literals."""

import pytest
from example_results import arm

from tfrs_pretrain.reporting.text.curves import has_same_loss, mean_curve, stage_one_label
from tfrs_pretrain.reporting.text.training_sentences import (
    failure_sentences,
    one_epoch_sentence,
    stage_one_sentences,
)


def run(*losses, per_epoch=100):
    return {"epochs": len(losses), "examples_per_epoch": per_epoch, "curve": [
        {"examples": per_epoch * epoch, "log_loss": loss} for epoch, loss in enumerate(losses, 1)]}


def sentence(*runs, kind="scratch", **arms):
    return one_epoch_sentence({"arms": {"long": {"kind": kind, "runs": list(runs)}, **arms}})


def test_a_mean_curve_ends_with_the_shortest_run():
    runs = [run(0.5, 0.4, 0.3), run(0.7, 0.6)]
    assert mean_curve(runs, "log_loss") == [(100, pytest.approx(0.6)), (200, pytest.approx(0.5))]
    runs[1]["curve"][0]["log_loss"] = None
    assert mean_curve(runs, "log_loss") == [(200, pytest.approx(0.5))]


@pytest.mark.parametrize(("losses", "expected"), [
    ((0.5, 0.6), "Long overfits: validation log loss is lowest at 0.5000 after 1 epoch and 0.6000 (+0.1000) after 2 "
                 "epochs."),
    ((0.5, 0.4), "Long shows no one-epoch effect: validation log loss is lowest at the end, 0.4000 after 2 epochs."),
    ((0.5, 0.5004), "Long shows no one-epoch effect: validation log loss is lowest at the end, 0.5000 after 1 epoch."),
    ((0.5, 0.5006), "Long overfits: validation log loss is lowest at 0.5000 after 1 epoch and 0.5006 (+0.0006) after 2 "
                    "epochs."),
])
def test_a_rise_of_the_loss_after_the_first_epoch_is_overfitting(losses, expected):
    assert sentence(run(*losses)) == expected


def test_only_arms_from_scratch_with_two_epochs_are_described():
    assert sentence(run(0.5)) is None
    assert sentence(run(0.5, 0.6), kind="two-stage") is None
    assert one_epoch_sentence({"arms": {"failed": {"failures": []}}}) is None


def test_the_longest_arm_is_described():
    longer = {"kind": "scratch", "runs": [run(0.5, 0.6, 0.9)]}
    assert "0.9000 (+0.4000) after 3 epochs" in sentence(run(0.5, 0.6), longer=longer)


def test_parts_of_epochs_have_one_digit():
    half = run(0.5, 0.6, 0.7)
    half["examples_per_epoch"] = 200
    assert sentence(half) == ("Long overfits: validation log loss is lowest at 0.5000 after 0.5 epochs and 0.7000 "
                              "(+0.2000) after 1.5 epochs.")


def stage_one(*losses, **differs):
    return {"differs": differs, "epochs": [{"epoch": epoch, "heldout_loss": loss} for epoch, loss in enumerate(losses)]}


@pytest.mark.parametrize(("losses", "expected"), [
    ((7.0, 6.0), "Stage I's held-out loss fell in its one epoch (7.000 before training, 6.000 at the end)."),
    ((7.0, 7.0), "Stage I's held-out loss did not fall in epoch 1 (7.000 before training, 7.000 at the end; lowest "
                 "7.000 after epoch 0)."),
    ((7.0, 8.0, 6.0, 6.5), "Stage I's held-out loss did not fall in epoch 1, 3 (7.000 before training, 6.500 at the "
                           "end; lowest 6.000 after epoch 2)."),
])
def test_the_held_out_loss_of_one_setting(losses, expected):
    assert stage_one_sentences({"settings": [stage_one(*losses)]}) == [expected]


def test_the_held_out_losses_of_several_settings():
    settings = [stage_one(7.0, 6.0), stage_one(7.0, 8.0, **{"pretraining.dim": 8}),
                stage_one(7.0, 7.0, **{"pretraining.objective.margin": 0.5}), stage_one(7.0)]
    assert stage_one_sentences({"settings": settings}) == [
        "Stage I's held-out loss fell in every epoch of 1 of 3 trained settings; exceptions: dim 8; margin 0.5."]


def test_failures_are_counted():
    failed = {"failures": [{"seed": 1, "reason": "killed"}, {"seed": 2, "reason": "not finite"}]}
    assert failure_sentences({"two_step": failed, "fine": arm(0.8, 0.3)}) == [
        "2 runs did not finish (two step, seed 1: killed; two step, seed 2: not finite)."]
    assert failure_sentences({"fine": arm(0.8, 0.3)}) == []


@pytest.mark.parametrize(("differs", "label", "same"), [
    ({}, "as configured", True),
    ({"pretraining.epochs": 12}, "epochs 12", True),
    ({"pretraining.objective.temperature": 0.2}, "temperature 0.2", False),
    ({"windows.pretrain.end": 29, "pretraining.dim": 8}, "windows.pretrain.end 29, dim 8", True),
    ({"pretraining.batch_size": 64}, "batch size 64", False),
])
def test_labels_of_stage_one_and_whether_losses_are_comparable(differs, label, same):
    assert stage_one_label({"differs": differs}) == label
    assert has_same_loss({"differs": differs}) is same
