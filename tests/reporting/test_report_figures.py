"""Data of the figures, without rendering a page."""

import example_results
import pytest

from tfrs_pretrain.reporting.figures.calibration import calibration
from tfrs_pretrain.reporting.figures.cost import seconds
from tfrs_pretrain.reporting.figures.diagnosis import loss_across_border
from tfrs_pretrain.reporting.figures.differences import differences
from tfrs_pretrain.reporting.figures.embedding_map import category_colours, embedding_maps
from tfrs_pretrain.reporting.figures.frequency import difference_by_frequency, wider_interval
from tfrs_pretrain.reporting.figures.one_epoch import epoch_borders, one_epoch, y_range
from tfrs_pretrain.reporting.figures.stage_one import heldout_loss, recall
from tfrs_pretrain.reporting.figures.style import COLOURS, DASHES, GREY, arm_styles, label, line_style


def test_dashes_change_when_colours_repeat():
    assert line_style(0) == (COLOURS[0], "solid")
    assert line_style(9) == (COLOURS[9], "solid")
    assert line_style(10) == (COLOURS[0], "dash")
    assert line_style(10 * len(DASHES)) == (COLOURS[0], "solid")


def test_arms_that_are_shown_have_the_first_colours_and_the_baseline_is_grey():
    styles = arm_styles(example_results.many())
    assert list(styles)[:3] == ["arm_00", "arm_01", "arm_02"]  # in the order of the results
    assert styles["arm_00"] == (GREY, "solid")
    assert [styles[name][0] for name in ("arm_01", "arm_02", "arm_29", "arm_03")] == list(COLOURS[:4])
    assert len(set(styles.values())) == 31


def test_labels_are_escaped():
    assert label("a_b<i>") == "a b&lt;i&gt;"


def test_calibration_is_linear_for_rates_of_similar_size():
    bins = [{"score": score, "rate": score, "count": 10} for score in (0.1, 0.0, 0.2)]
    results = example_results.results(calibration={"scratch": bins, "warm_start": bins[:1]})
    figure = calibration(results)
    assert figure.layout.xaxis.type is None
    assert [trace.name for trace in figure.data] == ["perfect", "scratch"]  # one bin is no line
    assert figure.data[0].x == (0.1, 0.2)
    assert figure.data[1].x == (0.1, 0.0, 0.2)


@pytest.mark.parametrize(("largest", "dtick"), [(0.3, "D2"), (20.0, 1)])
def test_calibration_is_logarithmic_for_wide_rates_and_omits_zeros(largest, dtick):
    bins = [{"score": score, "rate": score, "count": 10} for score in (0.01, 0.0, largest)]
    figure = calibration(example_results.results(calibration={"scratch": bins}))
    assert (figure.layout.xaxis.type, figure.layout.xaxis.dtick) == ("log", dtick)
    assert figure.data[1].x == (0.01, largest)


def test_seconds_are_bars_in_order():
    [bars] = seconds(example_results.results()).data
    assert list(zip(bars.y, bars.x, bars.text, strict=True)) == [
        ("data", 42.0, "42 s"), ("stage one", 47.5, "48 s"), ("stage two", 101.2, "1 min 41 s"),
        ("export", 6.1, "6.1 s")]
    assert seconds(example_results.results(seconds={"data": 1.0, "total": 1.0})) is None


def test_the_diagnosis_has_a_line_per_control_and_a_border_per_epoch():
    figure = loss_across_border(example_results.many())
    assert [(line.name, line.line.width) for line in figure.data] == [("as configured", 3), ("without user ids", 1.5)]
    assert [shape.x0 for shape in figure.layout.shapes] == [1, 2]
    assert loss_across_border(example_results.results()) is None


def test_differences_have_room_for_all_that_is_drawn():
    results = example_results.results()
    figure = differences(results, "log_loss")
    assert [trace.name for trace in figure.data if trace.name] == ["warm start distilled", "warm start"]
    low, high = figure.layout.xaxis.range
    assert low == pytest.approx(-0.0249 - 0.06 * 0.0249)
    assert high == pytest.approx(0.06 * 0.0249)  # 0 is in the range
    assert figure.layout.xaxis.title.text == "difference of test log loss"


@pytest.mark.parametrize(("users", "seeds", "expected"), [
    ([0.1, 0.3], None, (0.1, 0.3)), ([0.1, 0.3], [0.0, 0.4], (0.0, 0.4)), ([0.0, 0.4], [0.1, 0.3], (0.0, 0.4)),
    (None, None, (0.2, 0.2))])
def test_the_wider_interval_is_drawn(users, seeds, expected):
    assert wider_interval({"value": 0.2, "users": users, "seeds": seeds}) == expected


def test_buckets_without_a_difference_are_omitted():
    results = example_results.results()
    for entry in results["comparisons"]:
        entry["slices"]["item_frequency"][0]["auc"]["value"] = None
    figure = difference_by_frequency(results, "item_frequency")
    assert figure.data[0].x == ("1-4", "5-19", "20-99", "100+")
    assert [trace.name for trace in figure.data] == ["warm start", "warm start distilled"]  # against the baseline only
    for entry in results["comparisons"]:
        entry["slices"]["user_frequency"] = entry["slices"]["user_frequency"][:1]
    assert difference_by_frequency(results, "user_frequency") is None


def test_category_colours_end_with_the_others():
    results = example_results.results()
    assert category_colours(results) == [("bread", COLOURS[0]), ("milk", COLOURS[1]), ("others", GREY)]
    results["embedding_map"]["category"] = [0, 1, 1, 0, 1, 0]
    assert category_colours(results) == [("bread", COLOURS[0]), ("milk", COLOURS[1])]
    assert [trace.name for trace in embedding_maps(results)["embedding_map_1"].data] == ["bread", "milk"]
    nothing = example_results.results(embedding_map=None)
    assert (category_colours(nothing), embedding_maps(nothing)) == ([], {})


def test_epoch_borders_are_those_of_the_most_common_length():
    def arm(per_epoch, seen):
        return {"runs": [{"examples_per_epoch": per_epoch, "curve": [{"examples": 5}, {"examples": seen}]}]}

    assert epoch_borders([arm(100, 250), arm(100, 100), arm(70, 330)]) == [100, 200, 300]
    assert epoch_borders([arm(100, 99)]) == []
    assert len(epoch_borders([arm(1, 500)])) == 20


def test_an_outlier_does_not_set_the_range():
    values = [*([0.30, 0.31] * 40), 5.0]
    low, high = y_range(values)
    assert low == pytest.approx(0.30 - 0.06 * 0.01)
    assert high == pytest.approx(0.31 + 0.01 + 0.06 * 0.01)
    assert y_range([]) is None
    assert y_range([0.5]) == pytest.approx([0.5 - 6e-6, 0.5 + 6e-6])


def test_a_curve_of_one_point_is_no_figure():
    results = example_results.results()
    for arm in results["arms"].values():
        for run in arm["runs"]:
            run["curve"] = run["curve"][:1]
    assert one_epoch(results, "auc") is None


def test_stage_one_without_training_has_no_figure():
    results = example_results.results()
    [setting] = results["stage_one"]["settings"]
    setting["epochs"] = setting["epochs"][:1]
    assert heldout_loss(results) is None
    assert recall(results) is None
    assert heldout_loss(example_results.results(stage_one={})) is None


def test_recall_is_drawn_at_the_largest_cutoff():
    figure = recall(example_results.results())
    assert figure.layout.yaxis.title.text == "recall@50"
    results = example_results.results()
    for epoch in results["stage_one"]["settings"][0]["epochs"]:
        del epoch["recall@10"], epoch["recall@50"]
    assert recall(results) is None
