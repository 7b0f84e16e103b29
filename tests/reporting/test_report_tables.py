"""Cells of the tables, without rendering a page."""

import example_results
import pytest

from tfrs_pretrain.reporting.tables import arms, checks, data, pretraining, training
from tfrs_pretrain.reporting.tables.table import Cell, arm_cell, make_table
from tfrs_pretrain.reporting.text.method import method
from tfrs_pretrain.reporting.text.serving_commands import serving_commands
from tfrs_pretrain.reporting.text.timeline import timeline


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_columns_of_numbers_are_marked():
    table = make_table(["arm", "#AUC"], [["a", Cell("0.5", ["±0.1"])]])
    assert table.columns == [("arm", False), ("AUC", True)]
    assert table.rows == [[Cell("a"), Cell("0.5", ["±0.1"])]]


def test_the_exported_arm_is_marked_before_the_baseline():
    results = example_results.results()
    assert [arm_cell(results, name).badge for name in results["arms"]] == ["baseline", None, "served"]
    results["exported"]["arm"] = "scratch"
    assert arm_cell(results, "scratch") == Cell("scratch", arm="scratch", badge="served")


@pytest.mark.parametrize(("transfer", "expected"), [
    ({"user": "scratch", "item": "scratch"}, "scratch"),
    ({"user": "warm_start", "item": "frozen_then_trainable"}, "user: warm start, item: frozen then trainable")])
def test_the_transfer_is_named_once_or_for_each_table(transfer, expected):
    assert training.transfer({"transfer": transfer}) == expected


@pytest.mark.parametrize(("distillation", "expected"), [
    (None, "—"),
    ({"teacher": {"kind": "online", "hidden": [8, 4]}, "weight": 0.5}, "8-4, weight 0.5"),
    ({"teacher": {"kind": "fixed", "path": "scratch_2"}, "weight": 0.3}, "scratch_2, weight 0.3")])
def test_the_teacher_is_named_by_its_layers_or_its_path(distillation, expected):
    assert training.teacher({"teacher": distillation}) == expected


@pytest.mark.parametrize(("best", "expected"), [(3, "3"), (1, "3 (best 1)"), (None, "3")])
def test_the_best_epoch_is_named_if_it_is_not_the_last(best, expected):
    results = example_results.results()
    results["arms"]["scratch"]["runs"][0] |= {"epochs": 3, "best_epoch": best}
    assert texts(training.training(results))[0][4] == expected


def test_remedies_are_listed_and_unfinished_arms_left_out():
    results = example_results.many()
    results["arms"]["arm_01"]["remedies"] = ["meda", "early_stopping"]
    rows = texts(training.training(results))
    assert rows[1][3] == "meda, early stopping"
    assert len(rows) == 30


def test_trials_list_only_the_settings_that_differ():
    results = example_results.many()
    results["arms"]["arm_01"]["trials"][1]["settings"]["arm.schedule"] = "cosine"
    [(name, table)] = training.trials(results)
    assert name == "arm_01"
    assert texts(table) == [["interval decay 0.2", "0.8000", "0.2000"],
                            ["interval decay 0.4; schedule cosine", "0.8000", "0.4000"]]
    assert [row[0].badge for row in table.rows] == ["chosen", None]


def test_coverage_has_a_row_per_window_in_order_of_time():
    results = example_results.results()
    assert texts(training.coverage(results)) == [["test", "90.3 %", "91.2 %", "98.7 %", "61.0 %", "95.0 %"]]
    results["arms"]["warm_start"]["coverage"] = {
        "test": {"impressions": 0.5}, "train": {"impressions": 0.6, "user_ids": 1.0}}
    table = training.coverage(results)
    assert [name for name, _ in table.columns] == ["window", "impressions, all rows", "distinct user ids"]
    assert texts(table) == [["train", "60.0 %", "100.0 %"], ["test", "50.0 %", "—"]]
    for arm in results["arms"].values():
        arm["coverage"] = {}
    assert training.coverage(results) is None


def test_slices_of_an_arm_that_shares_no_seed_with_the_baseline_have_no_difference():
    results = example_results.results()
    results["comparisons"] = results["comparisons"][:1]
    row = arms.slices(results, "item_frequency").rows[2]
    assert row[4].notes == ["+0.0266", "users [+0.0256, +0.0276]"]
    assert row[5] == Cell("0.8658")
    results["comparisons"][0]["slices"]["item_frequency"][2]["auc"]["value"] = None
    assert arms.slices(results, "item_frequency").rows[2][4].notes == ()
    assert arms.slices(results, "device") is None


def test_settings_of_an_arm_without_seeds_are_listed():
    assert texts(arms.settings(example_results.many()))[-1] == ["lost", "epochs 9", "—"]


def test_an_arm_without_twins_has_no_table_of_them():
    assert arms.twins(example_results.many()) is None


def test_stage_one_has_a_row_per_setting():
    table = pretraining.stage_one(example_results.many())
    assert texts(table) == [
        ["as configured", "3", "3", "7.610", "6.010", "0.1230", "1", "48 s", "warm start"],
        ["epochs 12", "3", "3", "7.610", "6.010", "0.1230", "3", "48 s", "warm start"]]
    results = example_results.results()
    last = results["stage_one"]["settings"][0]["epochs"][-1]
    last["intervals"] = {"recall@50": [0.1, 0.15]}
    assert texts(pretraining.stage_one(results))[0][5] == "0.1230 [0.1000, 0.1500]"
    del last["intervals"]
    for epoch in results["stage_one"]["settings"][0]["epochs"]:
        del epoch["recall@10"], epoch["recall@50"]
    assert texts(pretraining.stage_one(results))[0][5] == "—"
    assert pretraining.stage_one(example_results.results(stage_one={})) is None


def test_a_shorter_setting_has_dashes_for_later_epochs():
    results = example_results.many()
    results["stage_one"]["settings"][1]["epochs"] = results["stage_one"]["settings"][1]["epochs"][:2]
    table = pretraining.stage_one_epochs(results)
    assert [name for name, _ in table.columns] == ["held-out loss after epoch", "0", "1", "2", "3"]
    assert texts(table)[1] == ["epochs 12", "7.610", "6.420", "—", "—"]


def test_embedding_tables_have_their_size_in_memory():
    assert texts(pretraining.embedding_tables(example_results.results()))[0] == [
        "user", "2,473", "64", "4", "633.1 kB", "a" * 12]
    assert pretraining.embedding_tables(example_results.results(stage_one={})) is None


def test_arms_without_bins_have_no_calibration_table():
    results = example_results.results(calibration={"scratch": [], "warm_start": [
        {"score": 0.1, "rate": 0.2, "count": 3000}]})
    [(name, table)] = checks.calibration(results)
    assert (name, texts(table)) == ("warm_start", [["0.1000", "0.2000", "3,000"]])


def test_the_share_of_the_rise_is_a_percentage():
    results = example_results.many()
    results["diagnosis"]["controls"]["without user ids"]["share_of_rise"] = 0.094
    assert [row[5] for row in texts(checks.diagnosis(results))] == ["—", "9 %"]


def test_features_name_their_users():
    results = example_results.results()
    by_name = {row[0]: row for row in texts(data.features(results))}
    assert by_name["brand"][3] == "4"
    features = {feature["name"]: feature for feature in results["config"]["schema"]["features"]}
    assert {name for name, row in by_name.items() if row[4] == "teacher only"} == {
        name for name, feature in features.items() if feature["privileged"]}


def test_absent_splits_are_left_out():
    results = example_results.results()
    del results["data"][0]["splits"]["pairs/heldout"]
    assert [row[0] for row in texts(data.splits(results))] == [
        "pairs/train", "impressions/train", "impressions/validation", "impressions/test"]


def test_one_dataset_has_no_table_of_datasets():
    assert data.datasets(example_results.results()) is None
    assert texts(data.datasets(example_results.many())) == [
        ["as configured", "all other arms", "785,210", "680,111"],
        ["windows.pretrain.end 29", "arm 05", "785,210", "680,111"]]


@pytest.mark.parametrize(("changes", "absent"), [
    ({}, set()), ({"stage_one": {}}, {"Held-out loss, recall"}), ({"embedding_map": None}, {"Neighbour purity"}),
    ({"exposures": None}, {"Derived exposures"})])
def test_methods_explain_only_what_the_report_contains(changes, absent):
    terms = [term for term, _ in method(example_results.results())]
    assert [term for term, _ in method(example_results.results(**changes))] == [
        term for term in terms if term not in absent]
    assert len(terms) == 14


def test_methods_name_the_numbers_of_the_study():
    texts_of = dict(method(example_results.results()))
    assert "16,024 engagements were held out." in texts_of["Held-out loss, recall"]
    assert "400 samples were drawn." in texts_of["Intervals by user"]
    assert "10.9 % here, which depends on the sampling of negatives" in texts_of["Log loss"]
    assert texts_of["Intervals over seeds"].startswith("None, because one seed was trained")
    several = dict(method(example_results.results(seeds=[1, 2], exposures=None)))
    assert several["Intervals over seeds"].startswith("Student's 95 % interval")
    assert "10.9 % here, so" in several["Log loss"]


def test_serving_commands_quote_names_and_paths(tmp_path):
    lines = serving_commands({"name": "my model", "path": str(tmp_path / "a b" / "7")})
    assert lines[0].endswith("-e MODEL_NAME='my model' \\")
    assert lines[1].startswith(f"  -v '{tmp_path / 'a b'}':/models/")
    assert f"@'{tmp_path / 'a b' / '7' / 'assets.extra' / 'golden_requests.json'}'" in lines[-1]
    assert serving_commands(None) == []


def test_the_timeline_is_in_percent_of_all_windows():
    windows = {"pretrain": {"start": 10, "end": 20}, "train": {"start": 20, "end": 26},
               "validation": {"start": 26, "end": 28}, "test": {"start": 28, "end": 30}}
    assert [(window["name"], window["left"], window["width"]) for window in timeline(windows)] == [
        ("pretrain", 0.0, 50.0), ("train", 50.0, 30.0), ("validation", 80.0, 10.0), ("test", 90.0, 10.0)]
