"""Sentences say what the numbers say, also when that is nothing or bad news."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tfrs_pretrain.reporting import findings
from tfrs_pretrain.reporting.arms import Arm, auc_variance, difference, read_arms


def arm(name, auc, log_loss, impressions=100_000, positives=10_000):
    test = {"auc": auc, "log_loss": log_loss, "gauc": None, "impressions": impressions, "positives": positives}
    return Arm(name, {"transfer": "scratch"}, {"metrics": {"test": test}}, exported=False)


def headline(auc, log_loss):
    base, other = arm("scratch", 0.8, 0.3), arm("warm_start", auc, log_loss)
    return findings.headline(other, base, difference(other, base))


@pytest.mark.parametrize(("auc", "log_loss", "expected"), [
    (0.83, 0.28, "Warm start ranks better than scratch: test AUC 0.8300 against 0.8000, with lower log loss"),
    (0.83, 0.31, "Warm start ranks better than scratch: test AUC 0.8300 against 0.8000, but higher log loss"),
    (0.77, 0.32, "Warm start ranks worse than scratch: test AUC 0.7700 against 0.8000, with higher log loss"),
    (0.801, 0.3, "Warm start makes no measurable difference to scratch: test AUC 0.8010 against 0.8000"),
    (0.8, 0.3, "Warm start makes no measurable difference to scratch: test AUC 0.8000 against 0.8000"),
    (None, 0.3, "Warm start and scratch cannot be compared: test AUC is undefined for one of them"),
])
def test_headline(auc, log_loss, expected):
    assert headline(auc, log_loss) == expected


def test_a_small_difference_counts_once_there_are_enough_impressions():
    few = [arm(name, auc, 0.3, 10_000, 1_000) for name, auc in (("base", 0.8), ("other", 0.805))]
    many = [arm(name, auc, 0.3, 10_000_000, 1_000_000) for name, auc in (("base", 0.8), ("other", 0.805))]
    assert difference(few[1], few[0]).verdict == "same"
    assert difference(many[1], many[0]).verdict == "better"


def test_auc_variance_is_that_of_repeated_samples():
    """The formula is exact for exponential scores; a positive's mean of 4 against 1 gives an AUC of 4 / (4 + 1)."""
    random = np.random.default_rng(0)
    labels = np.repeat([1, 0], [60, 200])
    scores = random.exponential(np.where(labels == 1, 4.0, 1.0), (1500, 260))
    sampled = np.var([roc_auc_score(labels, row) for row in scores])
    assert auc_variance({"auc": 0.8, "impressions": 260, "positives": 60}) == pytest.approx(sampled, rel=0.1)


@pytest.mark.parametrize(("losses", "expected"), [
    ([7.0, 6.0, 5.0], "Stage I's held-out loss fell in every one of 2 epochs (7.000 before training, 5.000 at the "
                      "end)."),
    ([7.0, 6.0, 6.5], "Stage I's held-out loss did not fall in every epoch: it rose or stood still in epoch 2 (7.000 "
                      "before training, 6.500 at the end; lowest 6.000 at epoch 1)."),
    ([7.0], "Stage I did not train: the rows are random."),
])
def test_stage_one(losses, expected):
    assert findings.stage_one([{"epoch": n, "heldout_loss": loss} for n, loss in enumerate(losses)]) == expected


def test_distillation_is_judged_against_the_same_arm_without_it():
    config = {"export": {"arm": "c"}, "ranking": {"arms": {
        "a": {"transfer": "scratch", "distillation": None}, "b": {"transfer": "warm_start", "distillation": None},
        "c": {"transfer": "warm_start", "distillation": {"weight": 0.3}}}}}
    metrics = {name: {"metrics": {"test": {"auc": auc, "log_loss": 0.3, "gauc": 0.7, "impressions": 10_000,
                                           "positives": 1_000}}} for name, auc in (("a", 0.7), ("b", 0.8), ("c", 0.81))}
    sentences = findings.distillation(read_arms(config, metrics))
    assert len(sentences) == 1
    assert sentences[0].startswith("C makes no measurable difference to b: test AUC +0.0100")


def test_largest_and_smallest_gain_by_frequency():
    rows = [{"slice": "0", "auc": {"base": 0.6, "other": None}}, {"slice": "1-4", "auc": {"base": 0.7, "other": 0.78}},
            {"slice": "5+", "auc": {"base": 0.8, "other": 0.79}}]
    base, other = arm("base", 0.8, 0.3), arm("other", 0.8, 0.3)
    text = findings.by_frequency(rows, other, base)
    assert "+0.0800 on items with 1-4" in text
    assert "−0.0100 on items with 5+" in text  # noqa: RUF001
    assert findings.by_frequency(rows[:2], other, base) is None


def test_the_first_arm_from_scratch_is_the_baseline():
    arms = {"warm": {"transfer": "warm_start"}, "cold": {"transfer": "scratch"}}
    config = {"ranking": {"arms": arms}, "export": {"arm": "warm"}}
    read = read_arms(config, {name: {"metrics": {"test": {}}} for name in arms})
    assert [(one.name, one.exported) for one in read] == [("cold", False), ("warm", True)]
