"""Whether pretraining pays: outcomes, the comparison with a ranker from scratch, and the line that tells it."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.evaluation.verdict import BETTER, SAME, UNDEFINED, WORSE
from tfrs_pretrain.ranking.benefit.facts import TransferFacts
from tfrs_pretrain.ranking.benefit.verdict import Benefit, compare_with_scratch, outcome

FACTS = TransferFacts({"user": 0.9, "item": 0.25})


@pytest.mark.parametrize(("verdicts", "expected"), [
    ([BETTER, BETTER], "pays"), ([SAME, BETTER], "pays"), ([UNDEFINED, BETTER], "pays"), ([SAME, SAME], "does not pay"),
    ([BETTER, WORSE], "does not pay"), ([SAME, UNDEFINED], "does not pay"), ([WORSE, SAME], "loses"),
    ([WORSE, WORSE], "loses"), ([UNDEFINED, UNDEFINED], "not measurable")])
def test_outcomes(verdicts, expected):
    assert outcome(verdicts) == expected


def predictions(arm, noise, users=60):
    random = np.random.default_rng(0)
    logits, user = random.normal(-1, 1, 4000), random.integers(0, users, 4000)
    labels = (random.random(4000) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    scores = 1 / (1 + np.exp(-(logits + noise * random.normal(size=4000))))
    table = pa.table({"key": np.arange(4000), "user_id": user, "label": labels, "score": scores.astype(np.float32)})
    return Predictions({"path": f"runs/{arm}", "arm": arm, "ranker_digest": "", "dataset_digest": ""}, table)


@pytest.mark.parametrize(("noise", "expected"), [(0.2, "pays"), (1.0, "does not pay"), (2.5, "loses")])
def test_differences_are_those_of_independent_metrics(noise, expected):
    warm, scratch = predictions("warm", noise), predictions("scratch", 1.0)
    benefit = compare_with_scratch(warm, scratch, FACTS)
    assert benefit.outcome == expected
    for metric, function in (("auc", roc_auc_score), ("log_loss", log_loss)):
        expected_value = function(warm.labels, warm.scores) - function(scratch.labels, scratch.scores)
        assert benefit.differences[metric]["value"] == pytest.approx(expected_value, abs=1e-6)
        assert benefit.differences[metric]["low"] <= expected_value <= benefit.differences[metric]["high"]
    assert (benefit.reason and benefit.reason.name) == (None if expected == "pays" else "coverage")


def test_the_line_has_the_numbers_the_reason_and_the_remedy():
    differences = {"auc": {"value": -0.0123, "low": -0.02, "high": -0.001},
                   "log_loss": {"value": 0.004, "low": -0.001, "high": 0.009}}
    benefit = Benefit.judge("warm_start", "runs/scratch", differences, FACTS)
    assert benefit.line == (
        "pretraining loses to scratch on these data: warm_start minus runs/scratch on validation: "
        "AUC -0.0123 [-0.0200, -0.0010], log loss +0.0040 [-0.0010, +0.0090]. Likeliest reason: only 25% of the "
        f"training impressions have a pretrained item. Try: {benefit.reason.advice}")
    assert benefit.to_json()["line"] == benefit.line
    assert benefit.to_json()["reason"]["name"] == "coverage"
    better = {metric: {"value": -each["value"], "low": -each["high"], "high": -each["low"]}
              for metric, each in differences.items()}
    assert Benefit.judge("warm_start", "scratch", better, FACTS).line is None


def test_one_user_is_not_measurable():
    warm, scratch = predictions("warm", 0.2, users=1), predictions("scratch", 1.0, users=1)
    benefit = compare_with_scratch(warm, scratch, FACTS)
    assert (benefit.outcome, benefit.line) == ("not measurable", None)


def test_the_line_of_an_undefined_metric():
    differences = {"auc": {"value": None, "low": None, "high": None},
                   "log_loss": {"value": 0.1, "low": 0.0, "high": 0.2}}
    benefit = Benefit.judge("warm", "scratch", differences, dataclasses.replace(FACTS, coverage={}))
    assert "AUC undefined, log loss +0.1000 [+0.0000, +0.2000]. Likeliest reason: coverage, age" in benefit.line
