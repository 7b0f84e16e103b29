"""Sentences say what the numbers say, also when that is nothing or bad news."""

import pytest

from tfrs_pretrain.reporting import findings
from tfrs_pretrain.reporting.arms import Arm, Change, Difference, compared_pairs, read_arms


def arm(name, auc, log_loss):
    test = {"auc": auc, "log_loss": log_loss, "gauc": None}
    return Arm(name, {"transfer": "scratch"}, {"metrics": {"test": test}}, exported=False)


def changed(auc, log_loss, margin=0.002):
    """Auc and log loss changed by so much, with intervals of this half-width."""
    return Difference(*(Change(value, value - margin, value + margin) for value in (auc, log_loss)))


@pytest.mark.parametrize(("auc", "log_loss", "expected"), [
    (0.83, 0.28, "Warm start ranks better than scratch: test AUC 0.8300 against 0.8000, with lower log loss"),
    (0.83, 0.31, "Warm start ranks better than scratch: test AUC 0.8300 against 0.8000, but higher log loss"),
    (0.77, 0.32, "Warm start ranks worse than scratch: test AUC 0.7700 against 0.8000, with higher log loss"),
    (0.83, 0.301, "Warm start ranks better than scratch: test AUC 0.8300 against 0.8000, with not measurably different "
                  "log loss"),
    (0.801, 0.3, "Warm start makes no measurable difference to scratch: test AUC 0.8010 against 0.8000"),
    (0.8, 0.3, "Warm start makes no measurable difference to scratch: test AUC 0.8000 against 0.8000"),
])
def test_headline(auc, log_loss, expected):
    base, other = arm("scratch", 0.8, 0.3), arm("warm_start", auc, log_loss)
    assert findings.headline(other, base, changed(auc - 0.8, log_loss - 0.3)) == expected


@pytest.mark.parametrize("change", [Difference(), Difference(Change(0.03), Change(0.01, 0.0, 0.02))])
def test_without_an_interval_nothing_is_claimed(change):
    base, other = arm("scratch", 0.8, 0.3), arm("warm_start", 0.83, 0.3)
    assert findings.headline(other, base, change) == (
        "Warm start and scratch cannot be compared: test AUC or its interval is undefined")
    assert "not comparable" in findings.sentence(other, base, change)


@pytest.mark.parametrize(("low", "high", "verdict"), [
    (0.001, 0.02, "better"), (-0.02, -0.001, "worse"), (-0.001, 0.02, "same"), (0.0, 0.02, "same"),
    (4e-5, 4e-4, "same"), (6e-5, 4e-4, "better"), (-4e-4, -4e-5, "same")])
def test_the_interval_decides(low, high, verdict):
    assert Difference(Change((low + high) / 2, low, high)).verdict == verdict


def test_sentences_give_both_ends():
    base, other = arm("scratch", 0.8, 0.3), arm("warm_start", 0.82, 0.29)
    assert findings.sentence(other, base, changed(0.02, -0.01)) == (
        "Warm start raises test AUC over scratch: +0.0200 (+0.0180 to +0.0220); log loss lower (−0.0100, −0.0120 to "  # noqa: RUF001
        "−0.0080).")  # noqa: RUF001


def test_a_log_loss_whose_interval_holds_0_has_no_direction():
    base, other = arm("scratch", 0.8, 0.3), arm("warm_start", 0.82, 0.2999)
    assert "log loss not measurably different (−0.0001, −0.0021 to +0.0019)." in findings.sentence(  # noqa: RUF001
        other, base, changed(0.02, -0.0001))


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
    arms = read_arms(config, {name: {"metrics": {"test": {}}} for name in "abc"})
    change = {"value": 0.01, "low": -0.001, "high": 0.02, "p": 0.1}
    results = {"differences": [{"arm": "c", "against": "b", **dict.fromkeys(("auc", "log_loss", "gauc"), change)}]}
    sentences = findings.distillation(arms, results)
    assert len(sentences) == 1
    assert sentences[0].startswith("C makes no measurable difference to b: test AUC +0.0100 (−0.0010 to +0.0200)")  # noqa: RUF001
    assert [(one.name, other.name) for one, other in compared_pairs(arms)] == [("b", "a"), ("c", "a"), ("c", "b")]


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


def test_an_arm_says_where_its_tables_start_and_who_teaches_it():
    def of(**settings):
        arm = Arm("a", {"transfer": "warm_start", **settings}, {}, exported=False)
        return arm.starts_from, arm.scratch, arm.teacher

    assert of() == ("warm start", False, "none")
    assert of(tables={"user": {"transfer": "frozen_then_trainable"}}) == (
        "user: frozen then trainable, item: warm start", False, "none")
    assert of(transfer="scratch", distillation={"hidden": [64, 32], "weight": 0.3, "teacher": None}) == (
        "scratch", True, "64-32, weight 0.3")
    stored = {"hidden": [64], "weight": 1.0, "teacher": "logits.parquet"}
    assert of(tables={"user": {"transfer": "warm_start"}}, distillation=stored) == (
        "warm start", False, "logits.parquet, weight 1.0")
