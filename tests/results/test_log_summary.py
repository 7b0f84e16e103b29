"""Summaries of logs: intervals against scipy, verdicts, and shares of the best gain from literal differences."""

import numpy as np
import pytest
from scipy import stats

from tfrs_pretrain.results.log_summary import Target, summarize_log

AUC = {"scratch": [0.70, 0.71, 0.72], "warm": [0.74, 0.75, 0.73], "best": [0.75, 0.76, 0.76]}
LOSS = {"scratch": [0.60, 0.61, 0.59], "warm": [0.58, 0.57, 0.59], "best": [0.55, 0.56, 0.57]}
TARGET = Target("warm", "best", 0.8)


def results(verdicts, auc=AUC, loss=LOSS):
    def arm(name):
        return {"settings": {"arm.transfer": name}, "trials": [{}] if name == "best" else [],
                "test": {"auc": {"by_seed": auc[name]}, "log_loss": {"by_seed": loss[name]}}}

    def entry(name):
        def difference(metric, values):
            return {"value": float(np.mean(np.subtract(values[name], values["scratch"]))),
                    "verdict": verdicts[name][metric]}
        return {"arm": name, "against": "scratch", "auc": difference(0, auc), "log_loss": difference(1, loss)}

    return {"title": "t", "baseline": "scratch", "seeds": [1, 2, 3], "comparisons": [entry("warm"), entry("best")],
            "arms": {**{name: arm(name) for name in auc}, "broken": {"settings": {}, "trials": []}}}


BETTER = {"warm": ("better",) * 2, "best": ("better",) * 2}


def test_means_have_students_interval_over_seeds():
    summary = summarize_log(results(BETTER), None)
    assert list(summary["arms"]) == ["scratch", "warm", "best"]
    for values, metric in ((AUC, "auc"), (LOSS, "log_loss")):
        for name, by_seed in values.items():
            low, high = stats.t.interval(0.95, 2, np.mean(by_seed), stats.sem(by_seed))
            assert summary["arms"][name][metric] == pytest.approx(
                {"mean": np.mean(by_seed), "low": low, "high": high}, rel=1e-9)
    assert summary["verdicts"]["warm"] == {"auc": "better", "log_loss": "better"}
    assert summary["settings"] == {"best": {"arm.transfer": "best"}}
    assert summary["target"] is None


def test_shares_are_ratios_of_mean_gains():
    target = summarize_log(results(BETTER), TARGET)["target"]
    assert target["gain"]["auc"] == pytest.approx({"arm": 0.03, "best": 0.14 / 3})
    assert target["gain"]["log_loss"] == pytest.approx({"arm": 0.02, "best": 0.04})  # positive: lower is better
    assert target["shares"] == pytest.approx({"auc": 0.03 / (0.14 / 3), "log_loss": 0.5})
    assert (target["loses"], target["reached"]) == (False, False)
    near = {"auc": AUC | {"warm": AUC["best"]}, "loss": LOSS | {"warm": [0.558, 0.568, 0.578]}}
    target = summarize_log(results(BETTER, **near), TARGET)["target"]
    assert target["shares"] == pytest.approx({"auc": 1.0, "log_loss": 0.8})
    assert target["reached"] is True


@pytest.mark.parametrize(("warm", "best", "shares", "loses", "reached"), [
    (("no measurable difference",) * 2, ("no measurable difference",) * 2, [None, None], False, True),
    (("worse", "better"), ("no measurable difference",) * 2, [None, None], True, False),
    (("better", "better"), ("no measurable difference", "better"), [None, 0.5], False, False),
    (("undefined", "undefined"), ("better", "better"), [0.03 / (0.14 / 3), 0.5], False, None),
])
def test_only_measurable_gains_count_and_a_loss_is_a_loss(warm, best, shares, loses, reached):
    target = summarize_log(results({"warm": warm, "best": best}), TARGET)["target"]
    assert target["shares"] == pytest.approx(dict(zip(("auc", "log_loss"), shares, strict=True)))
    assert (target["loses"], target["reached"]) == (loses, reached)


def test_an_arm_that_did_not_finish_reaches_nothing():
    found = results(BETTER)
    found["comparisons"] = found["comparisons"][1:]
    target = summarize_log(found, TARGET)["target"]
    assert (target["reached"], target["gain"]["auc"]["arm"], target["shares"]["auc"]) == (None, None, None)


def test_one_seed_has_no_interval():
    one = [{name: values[:1] for name, values in each.items()} for each in (AUC, LOSS)]
    found = summarize_log(results(BETTER, *one), None)["arms"]["warm"]["auc"]
    assert found == {"mean": 0.74, "low": None, "high": None}
