"""The result of a diagnosis: its JSON, its advice and its tables."""

import dataclasses
import io
import json

import pytest
from made_diagnosis import make_diagnosis
from rich.console import Console

from tfrs_pretrain.diagnosis.advice import advice
from tfrs_pretrain.diagnosis.controls import BASE, PRETRAINED
from tfrs_pretrain.diagnosis.diagnosis import Diagnosis
from tfrs_pretrain.diagnosis.show import show_diagnosis
from tfrs_pretrain.diagnosis.verdict import NONE, STEADY


def with_verdict(verdict, **changes):
    made = make_diagnosis()
    return dataclasses.replace(made, verdict=dataclasses.replace(made.verdict, verdict=verdict), blamed=[], **changes)


def test_the_json_is_read_back_as_it_was_written():
    made = make_diagnosis()
    assert Diagnosis.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_the_json_has_the_keys_that_readers_know():
    content = make_diagnosis().to_json()
    assert list(content) == [
        "verdict", "confidence", "before", "border", "border_low", "border_high", "end", "blamed", "stop_after_epochs",
        "log_loss_at_epoch_ends", "held_out_impressions", "extent", "seed", "resampling", "controls", "gap", "seconds",
        "dataset_digest", "ranking"]
    assert content["controls"][PRETRAINED]["replicates_below_0.5"] == 0.97
    assert "share_of_rise" not in content["controls"][BASE]
    assert content["gap"][1] == {
        "epoch": 1, "ids": "user", "training_impressions": "100+", "heldout_impressions": 0, "trained_impressions": 5,
        "heldout_log_loss": None, "trained_log_loss": 0.5, "gap": None}


@pytest.mark.parametrize("key", ["verdict", "extent", "controls", "ranking"])
def test_content_without_a_key_is_refused(key):
    content = make_diagnosis().to_json()
    del content[key]
    with pytest.raises(KeyError, match=key):
        Diagnosis.from_json(content)


def test_advice_on_a_sharp_drop_names_the_cause_and_the_effect_of_pretraining():
    assert advice(make_diagnosis()) == [
        "sharp drop at the epoch border (confidence 98%): held-out log loss 0.6000 before the border, +0.0200 "
        "[+0.0150, +0.0250] right after it, +0.0300 at the end of the second epoch",
        "caused by user ids",
        "stop after epoch 1, or pretrain the ids (`tfrs-pretrain pretrain`)",
        "with pretrained rows 25% of that rise remains; their log loss after one epoch is -0.0200 from that of random "
        "rows"]
    assert "caused by user and item ids" in advice(make_diagnosis(blamed=["user", "item"]))
    assert "no single id space is the cause with certainty" in advice(make_diagnosis(blamed=[]))
    made = make_diagnosis()
    assert len(advice(dataclasses.replace(made, controls={BASE: made.controls[BASE]}))) == 3


def test_advice_on_steady_over_training_is_to_stop():
    assert advice(with_verdict(STEADY, stop_after_epochs=2))[1:] == [
        "stop after epoch 2, or pretrain the ids (`tfrs-pretrain pretrain`)"]


def test_advice_without_over_training_allows_more_epochs():
    assert advice(with_verdict(NONE))[1:] == ["more epochs do no harm here"]
    assert advice(with_verdict(NONE, stop_after_epochs=2))[1:] == [
        "more epochs do no harm here; best so far after epoch 2"]


def test_tables_show_every_control_and_every_defined_gap():
    output = io.StringIO()
    show_diagnosis(make_diagnosis(), Console(file=output, width=140))
    lines = [" ".join(line.split()) for line in output.getvalue().splitlines()]
    assert "as configured 0.6000 +0.0200 [+0.0150, +0.0250] +0.0300" in lines
    assert "pretrained rows 0.5900 +0.0050 [-0.0010, +0.0110] +0.0020 25%" in lines
    assert "ids impressions epoch 1 epoch 2" in lines
    assert "user 1-4 +0.1000 +0.3000" in lines
    assert not any("100+" in line for line in lines)  # no held-out impression in the bucket
    assert "caused by user ids" in lines
