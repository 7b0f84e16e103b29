"""Sentences of the report, for every verdict."""

import example_results
import pytest
from example_results import SEEDS, arm, change, comparison

from tfrs_pretrain.reporting.text.comparison_sentences import comparison_sentences, grouped, single
from tfrs_pretrain.reporting.text.findings import frequency_sentence
from tfrs_pretrain.reporting.text.headline import headline
from tfrs_pretrain.reporting.text.measurability import measurability
from tfrs_pretrain.reporting.text.training_sentences import (
    failure_sentences,
    one_epoch_sentence,
    stage_one_sentences,
)


def two(auc, log_loss, margin=0.002, seeds=None):
    """Results of two arms with these differences."""
    entry = comparison("warm_start", "scratch", auc, log_loss, margin, seeds)
    return example_results.results(
        arms={"scratch": arm(0.8, 0.3), "warm_start": arm(0.8 + auc, 0.3 + log_loss, "two-stage")},
        comparisons=[entry], headline="warm_start")


@pytest.mark.parametrize(("auc", "log_loss", "expected"), [
    (0.03, -0.02, "Warm start ranks better than scratch: test AUC 0.8300 against 0.8000, with lower log loss"),
    (0.03, 0.01, "Warm start ranks better than scratch: test AUC 0.8300 against 0.8000, but higher log loss"),
    (-0.03, 0.02, "Warm start ranks worse than scratch: test AUC 0.7700 against 0.8000, with higher log loss"),
    (0.03, 0.001, "Warm start ranks better than scratch: test AUC 0.8300 against 0.8000, with not measurably different "
                  "log loss"),
    (0.001, 0.0, "Warm start makes no measurable difference to scratch: test AUC 0.8010 against 0.8000"),
    (0.001, -0.01, "Warm start makes no measurable difference to scratch: test AUC 0.8010 against 0.8000, but lower "
                   "log loss"),
    (0.0, 0.0, "Warm start makes no measurable difference to scratch: test AUC 0.8000 against 0.8000"),
])
def test_headline(auc, log_loss, expected):
    assert headline(two(auc, log_loss)) == expected


def test_a_wide_interval_over_seeds_makes_a_difference_not_measurable():
    assert "ranks better" in headline(two(0.03, -0.02, seeds=0.02))
    assert "no measurable difference" in headline(two(0.03, -0.02, seeds=0.04))


def test_an_undefined_interval_is_not_comparable():
    example = two(0.03, -0.02)
    example["comparisons"][0]["auc"] = change("auc", 0.03, None) | {"verdict": "undefined"}
    assert headline(example) == (
        "Warm start and scratch cannot be compared: test AUC or its interval is undefined")
    assert "not comparable" in single(example["comparisons"][0])


def test_a_sentence_contains_both_intervals():
    assert single(comparison("warm_start", "scratch", 0.02, -0.01, 0.002, 0.004)) == (
        "Warm start raises test AUC over scratch: +0.0200 (users [+0.0180, +0.0220]; seeds [+0.0160, +0.0240]); log "
        "loss lower (−0.0100; users [−0.0120, −0.0080]; seeds [−0.0140, −0.0060]).")  # noqa: RUF001


def test_a_log_loss_whose_interval_contains_0_has_no_direction():
    assert "log loss not measurably different (−0.0001; users [−0.0021, +0.0019])." in single(  # noqa: RUF001
        comparison("warm_start", "scratch", 0.02, -0.0001, 0.002))


def test_many_arms_are_grouped_by_verdict():
    entries = [comparison(name, "scratch", auc, 0.0, 0.002) for name, auc in
               (("a", 0.01), ("b", 0.03), ("c", -0.01), ("d", 0.001), ("e", -0.001))]
    found = comparison_sentences(example_results.results(comparisons=entries))
    assert found == ["Measurably higher test AUC than scratch, also after correction: b +0.0300, a +0.0100.",
                         "Measurably lower test AUC than scratch, also after correction: c −0.0100.",  # noqa: RUF001
                         "No measurable difference of test AUC to scratch: d +0.0010, e −0.0010."]  # noqa: RUF001


def test_a_long_group_names_the_largest_differences():
    entries = [comparison(f"a{index}", "scratch", -0.01 * index, 0.0, 0.002) for index in range(1, 12)]
    assert grouped(entries, "scratch") == [
        "Measurably lower test AUC than scratch, also after correction: "
        + ", ".join(f"a{index} −{0.01 * index:.4f}" for index in range(11, 4, -1))  # noqa: RUF001
        + ", and 4 more in the table."]


def test_a_verdict_that_correction_removes_is_marked():
    entries = [comparison(f"a{index}", "scratch", -0.01 * index, 0.0, 0.002) for index in range(1, 6)]
    entries[1]["auc"] |= {"p_corrected": 0.06, "holds": False}
    assert grouped(entries, "scratch")[1] == (
        "Lower test AUC than scratch, measurable only before correction for 5 comparisons: a2 −0.0200.")  # noqa: RUF001
    example = two(0.03, -0.02)
    example["comparisons"][0]["auc"]["holds"] = False
    example["multiplicity"]["families"]["baseline"] = 11
    assert headline(example) == (
        "Warm start ranks better than scratch: test AUC 0.8300 against 0.8000 (not after correction for 11 "
        "comparisons), with lower log loss")
    example["comparisons"][0]["log_loss"]["holds"] = False
    assert headline(example).endswith("comparisons), with lower log loss before correction only")
    example["comparisons"][0]["log_loss"]["holds"] = True
    assert single(example["comparisons"][0]).endswith(
        " Not after correction for the number of comparisons: AUC.")


def test_many_distilled_arms_are_counted():
    entries = [comparison(f"d{index}", f"w{index}", auc, 0.0, 0.002)
               for index, auc in enumerate((0.0, 0.01, 0.0, 0.0, 0.0))]
    assert ("Of 5 distilled arms, 1 measurably differs in test AUC from the same arm without a teacher, "
            "after correction for their number: d1 +0.0100 (better).") in comparison_sentences(
                example_results.results(comparisons=entries))


def test_stage_one():
    def sentences(*losses):
        return stage_one_sentences({"settings": [{"differs": {}, "epochs": [
            {"epoch": epoch, "heldout_loss": loss} for epoch, loss in enumerate(losses)]}]})

    assert sentences(7.0, 6.0, 5.0) == [
        "Stage I's held-out loss fell in each of 2 epochs (7.000 before training, 5.000 at the end)."]
    assert sentences(7.0, 6.0, 6.5) == [
        "Stage I's held-out loss did not fall in epoch 2 (7.000 before training, 6.500 at the end; lowest 6.000 after "
        "epoch 1)."]
    assert sentences(7.0) == ["Stage I did not train: the rows are random."]
    assert stage_one_sentences({}) == []


def test_several_settings_of_stage_one_share_a_sentence():
    falling, rising = ([{"epoch": epoch, "heldout_loss": loss} for epoch, loss in enumerate(losses)]
                       for losses in ((7.0, 6.0), (7.0, 7.5)))
    settings = [{"differs": {}, "epochs": falling}, {"differs": {"pretraining.epochs": 12}, "epochs": rising}]
    untrained = {"differs": {"pretraining.epochs": 0}, "epochs": falling[:1]}
    assert stage_one_sentences({"settings": [*settings, untrained]}) == [
        "Stage I's held-out loss fell in every epoch of 1 of 2 trained settings; exceptions: epochs 12."]
    assert stage_one_sentences({"settings": [settings[0], untrained]}) == [
        "Stage I's held-out loss fell in every epoch of all 1 trained settings."]


def test_one_epoch():
    long = arm(0.8, 0.3, epochs=3)
    text = one_epoch_sentence(example_results.results(arms={"scratch": arm(0.8, 0.3), "three": long}))
    assert text == ("Three overfits: validation log loss is lowest at 0.3000 after 1 epoch and 0.3400 (+0.0400) "
                    "after 3 epochs.")
    for point in long["runs"][0]["curve"]:
        point["log_loss"] = 0.4 - 0.01 * point["epoch"]
    assert one_epoch_sentence(example_results.results(arms={"three": long})) == (
        "Three shows no one-epoch effect: validation log loss is lowest at the end, 0.3700 after 3 epochs.")
    assert one_epoch_sentence(example_results.results()) is None


def test_largest_and_smallest_gain_by_frequency():
    example = two(0.03, -0.02)
    parts = example["comparisons"][0]["slices"]["item_frequency"]
    for part, value in zip(parts, (None, 0.08, -0.01, 0.02, 0.03), strict=True):
        part["auc"] = change("auc", value, 0.001)
    text = frequency_sentence(example)
    assert "+0.0800 on items with 1-4" in text
    assert "−0.0100 on items with 5-19" in text  # noqa: RUF001
    example["comparisons"][0]["slices"]["item_frequency"] = parts[:2]
    assert frequency_sentence(example) is None


def test_failures_have_their_reason():
    assert failure_sentences(example_results.many()["arms"]) == [
        "1 run did not finish (lost, seed 18: killed by signal 9)."]


def test_the_number_of_comparisons_is_explained():
    text = measurability(example_results.results(seeds=list(SEEDS)))
    assert "the interval by user and the interval over the 3 seeds." in text
    assert "2 arms are compared with the baseline, so one of them may look different by chance" in text
    assert "The 21 differences by slice are not corrected: of all intervals by user, about 2 would exclude 0" in text
    assert "does not include the variation between training seeds" in measurability(example_results.results())


def test_the_limit_of_two_seeds_is_explained():
    """12.706 / sqrt(2), 4.303 / sqrt(3) and 2.776 / sqrt(5): tabulated t over the root of the seeds."""
    text = measurability(example_results.results(seeds=[17, 18]))
    assert "must be 9.0 times its standard deviation over seeds" in text
    assert "with three seeds 2.5 times, with five 1.2 times" in text
    assert "undecided, not equal" in text
    assert "Two seeds" not in measurability(example_results.results(seeds=list(SEEDS)))
