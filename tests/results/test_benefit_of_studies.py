"""Whether pretraining pays in a study, on validation, against independent metrics."""

import dataclasses

import example_study
import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tfrs_pretrain.results.benefit import benefit

METRICS = {"auc": roc_auc_score, "log_loss": log_loss}
ARMS = {name: {"kind": kind, "teacher": None, "transfer": dict.fromkeys(("user", "item"), transfer), "test": {},
               "validation": {"log_loss": {"mean": loss}}}
        for name, kind, transfer, loss in (("scratch", "scratch", "scratch", 0.45),
                                           ("warm", "two-stage", "warm_start", 0.38),
                                           ("distilled", "two-stage", "warm_start", 0.4))}


def mean_difference(study, function):
    runs = {arm.name: arm.runs for arm in study.arms}
    pairs = [[pq.read_table(run.ranker / "predictions" / "validation.parquet") for run in pair]
             for pair in zip(runs["warm"], runs["scratch"], strict=True)]
    return np.mean([function(one["label"], one["score"]) - function(other["label"], other["score"])
                    for one, other in pairs])


def test_the_best_arms_of_both_kinds_are_compared(study):
    found = benefit(study, ARMS)
    assert (found["arm"], found["scratch"], found["outcome"], found["line"]) == ("warm", "scratch", "pays", None)
    for metric, function in METRICS.items():
        assert found["differences"][metric]["value"] == pytest.approx(mean_difference(study, function), abs=1e-6)
    distilled = benefit(study, ARMS | {"distilled": ARMS["distilled"] | {"validation": {"log_loss": {"mean": 0.3}}}})
    assert distilled["arm"] == "distilled"


def test_worse_rows_lose_with_the_widest_interval(tmp_path, monkeypatch):
    monkeypatch.setattr(example_study, "NOISE", example_study.NOISE | {"scratch": 0.2, "warm": 1.5})
    study = example_study.write_example(tmp_path)
    found = benefit(study, ARMS)
    assert found["outcome"] == "loses"
    assert "loses to scratch on these data: warm minus scratch on validation: AUC -0." in found["line"]
    loss = found["differences"]["log_loss"]
    assert 0 < loss["low"] < loss["value"] < loss["high"]
    assert loss["value"] == pytest.approx(mean_difference(study, log_loss), abs=1e-6)
    one_seed = dataclasses.replace(study, arms=[dataclasses.replace(arm, runs=arm.runs[:1]) for arm in study.arms])
    narrower = benefit(one_seed, ARMS)["differences"]["log_loss"]
    assert narrower["high"] - narrower["low"] != loss["high"] - loss["low"]


def test_arms_on_other_datasets_and_studies_without_both_kinds_are_not_compared(study):
    elsewhere = [dataclasses.replace(arm, runs=[dataclasses.replace(run, dataset=study.folder / "other")
                                                for run in arm.runs]) if arm.name != "scratch" else arm
                 for arm in study.arms]
    assert benefit(dataclasses.replace(study, arms=elsewhere), ARMS) is None
    assert benefit(dataclasses.replace(study, arms=study.arms[:1]), ARMS) is None
    assert benefit(dataclasses.replace(study, arms=study.arms[1:]), ARMS) is None
