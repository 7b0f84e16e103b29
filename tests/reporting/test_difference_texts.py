"""Differences and verdicts as text, and the rule for measurability, against literal sentences."""

import example_results
import pytest
from example_results import change

from tfrs_pretrain.reporting.text.differences import (
    both_verdicts,
    difference_with_intervals,
    find_comparison,
    intervals,
    is_uncorrected,
    log_loss_direction,
)
from tfrs_pretrain.reporting.text.headline import headline
from tfrs_pretrain.reporting.text.measurability import measurability
from tfrs_pretrain.reporting.text.tiles import tiles


def test_intervals_that_exist_are_listed():
    assert intervals(change("auc", 0.02, 0.002, 0.004)) == ["users [+0.0180, +0.0220]", "seeds [+0.0160, +0.0240]"]
    assert intervals(change("auc", 0.02, 0.002)) == ["users [+0.0180, +0.0220]"]
    assert intervals(change("auc", None, None)) == []


def test_a_difference_with_its_intervals():
    one = change("auc", 0.02, 0.002)
    assert difference_with_intervals(one) == "+0.0200 (users [+0.0180, +0.0220])"
    assert difference_with_intervals(one, brackets=False) == "+0.0200; users [+0.0180, +0.0220]"
    assert difference_with_intervals(change("auc", None, None)) == "—"


@pytest.mark.parametrize(("verdict", "holds", "expected"), [
    ("better", True, False), ("better", False, True), ("worse", False, True),
    ("no measurable difference", False, False), ("undefined", False, False)])
def test_a_measurable_difference_that_does_not_hold_is_uncorrected(verdict, holds, expected):
    assert is_uncorrected({"verdict": verdict, "holds": holds}) is expected


@pytest.mark.parametrize(("verdict", "expected"), [
    ("better", "lower"), ("worse", "higher"), ("no measurable difference", "not measurably different"),
    ("undefined", "not measurably different")])
def test_a_lower_log_loss_is_better(verdict, expected):
    assert log_loss_direction({"verdict": verdict}) == expected


@pytest.mark.parametrize(("auc", "log_loss", "expected"), [
    (("better", True), ("better", True), "better"),
    (("better", True), ("worse", True), "AUC better, log loss worse"),
    (("better", False), ("better", True), "AUC better (uncorrected), log loss better"),
    (("no measurable difference", False), ("no measurable difference", False), "not measurable"),
    (("undefined", False), ("better", True), "AUC undefined, log loss better"),
])
def test_both_verdicts(auc, log_loss, expected):
    entries = ({"verdict": verdict, "holds": holds} for verdict, holds in (auc, log_loss))
    assert both_verdicts(dict(zip(("auc", "log_loss"), entries, strict=True))) == expected
    assert both_verdicts(None) == "—"


def test_a_comparison_is_found_by_both_names():
    results = example_results.results()
    assert find_comparison(results, "warm_start_distilled", "warm_start")["auc"]["value"] == 0.0007
    assert find_comparison(results, "warm_start", "warm_start_distilled") is None


def test_the_headline_of_a_single_arm():
    results = example_results.results(headline="scratch")
    assert headline(results) == "One arm, scratch: test AUC 0.8775, nothing to compare it with"


def test_an_undefined_log_loss_is_left_out_of_the_headline():
    results = example_results.results()
    results["comparisons"][1]["log_loss"] = change("log_loss", None, None)
    assert headline(results) == "Warm start distilled ranks better than scratch: test AUC 0.9058 against 0.8775"


def test_the_rule_for_one_comparison_with_one_seed():
    results = example_results.results(multiplicity={"differences_by_slice": 0, "families": {"baseline": 1}})
    assert measurability(results) == (
        "A difference is measurable if every available 95 % interval excludes 0: here only the interval by user, which "
        "does not include the variation between training seeds.")


def test_the_rule_for_several_seeds_arms_and_slices():
    results = example_results.results(seeds=[1, 2, 3], multiplicity={
        "differences_by_slice": 40, "expected_by_chance": 2.6, "families": {"baseline": 5}})
    assert measurability(results) == (
        "A difference is measurable if every available 95 % interval excludes 0: the interval by user and the interval "
        "over the 3 seeds. 5 arms are compared with the baseline, so one of them may look different by chance: "
        "“uncorrected” marks a difference that is measurable on its own but not after Holm's correction, which keeps "
        "the probability of any such false finding in a metric below 5 %. The 40 differences by slice are not "
        "corrected: of all intervals by user, about 3 would exclude 0 even if no arms differed.")


def test_tiles():
    assert tiles(example_results.results()) == [
        {"name": "test AUC", "value": "0.9058", "note": "+0.0283 to scratch"},
        {"name": "test log loss", "value": "0.2484", "note": "−0.0239 to scratch"},  # noqa: RUF001
        {"name": "Stage I held-out loss", "value": "6.010", "note": "from 7.610 before training"},
        {"name": "whole run", "value": "3 min 17 s", "note": "peak memory 3.1 GB"}]


def test_tiles_of_a_single_arm_without_stage_one():
    results = example_results.results(headline="scratch", stage_one={})
    assert [tile["note"] for tile in tiles(results)] == ["scratch", "scratch", "peak memory 3.1 GB"]
