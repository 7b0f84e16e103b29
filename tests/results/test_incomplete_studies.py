"""Studies with missing parts still produce results and a report."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest
from example_study import write_example
from resealed import reseal

from tfrs_pretrain.reporting.study_report import write_study


def rewritten(study, change):
    """Replace the study's predictions by ``change(table)``."""
    for path in study.folder.glob("*/predictions/*.parquet"):
        pq.write_table(change(pq.read_table(path)), path)
        reseal(path.parents[1])
    return study


def page(study):
    return (study.folder / "report.html").read_text()


def test_with_one_label_auc_is_undefined_and_log_loss_is_compared(tmp_path):
    study = rewritten(write_example(tmp_path), lambda table: table.set_column(
        table.schema.get_field_index("label"), "label", [np.zeros(len(table), np.float32)]))
    results = write_study(study)
    assert results["arms"]["warm"]["test_auc"] is None
    assert results["arms"]["warm"]["test_log_loss"] > 0
    [first, *_] = results["comparisons"]
    assert first["auc"] == {
        "value": None, "by_seed": None, "users": None, "seeds": None, "verdict": "undefined", "p_users": None,
        "p_seeds": None, "p": None, "p_corrected": None, "holds": False}
    assert first["log_loss"]["users"] is not None
    assert "cannot be compared: test AUC or its interval is undefined" in page(study)


def test_predictions_without_counts_have_no_slices(tmp_path):
    study = rewritten(write_example(tmp_path), lambda table: table.drop_columns(
        ["user_count", "item_count", "feature.department", "feature.brand"]))
    results = write_study(study)
    assert results["arms"]["warm"]["slices"] == results["comparisons"][0]["slices"] == {}
    assert results["embedding_map"] is None
    assert "plot-item_frequency" not in page(study)


@pytest.mark.parametrize("index", [0, 1])
def test_one_arm_with_one_seed(tmp_path, index):
    study = write_example(tmp_path)
    alone = dataclasses.replace(study.arms[index], runs=study.arms[index].runs[:1], trials=())
    results = write_study(dataclasses.replace(study, arms=[alone], baseline=alone.name))
    assert results["comparisons"] == []
    assert results["headline"] == alone.name
    assert results["arms"][alone.name]["test"]["auc"]["sd"] is None
    assert ("plot-heldout_loss" in page(study)) == (index == 1)
    assert f"One arm, {alone.name}: test AUC" in page(study)
