"""Tables of every dtype against a naive implementation, and the cost of quantization."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.serving.exporting.export import export
from tfrs_pretrain.serving.exporting.quantization import quantization_cost, quantized
from tfrs_pretrain.serving.graph.served_tables import ServedTable, StoredRows, quantize_dequantize, row_scales

ROWS = np.array([[1.0, -0.5, 0.25], [0, 0, 0], [1e-30, 3e38, -3e38], [0.1, 0.2, -0.3]], np.float32)


def naive_int8(row):
    step = max(abs(value) for value in row.tolist()) / 127
    return [round(value / step) * step if step else 0.0 for value in row.tolist()]


@pytest.mark.parametrize(("dtype", "expected", "size"), [
    ("float32", ROWS, 48), ("int8", np.array([naive_int8(row) for row in ROWS]), 12 + 16)])
def test_gathered_rows_have_the_precision_of_their_dtype(dtype, expected, size):
    table = ServedTable("t", StoredRows.quantized(ROWS, dtype))
    found = table.gather(tf.constant([[3, 0], [1, 2]])).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[[[3, 0], [1, 2]]], rtol=1e-6)
    np.testing.assert_array_equal(found, quantize_dequantize(ROWS, dtype)[[[3, 0], [1, 2]]])
    assert table.described() == {"rows": 4, "dim": 3, "dtype": dtype, "bytes": size}


def test_float16_rows_are_rounded_to_eleven_bits():
    stored = StoredRows.quantized(np.array([[1.0, 1 + 2**-12, 1 + 2**-9]], np.float32), "float16")
    found = ServedTable("t", stored).gather(tf.constant([0]))
    np.testing.assert_array_equal(found, [[1.0, 1.0, 1 + 2**-9]])


@pytest.mark.parametrize(("dtype", "bytes_of_a_row"), [("float16", 2 * 8), ("int8", 8 + 4)])
def test_a_quantized_export_answers_as_the_quantized_ranker_and_reports_the_cost(
        dtype, bytes_of_a_row, tmp_path, planted_config, tiny_dataset, ranker_folder):
    config = planted_config.resolved()
    config["export"] |= {"table_dtype": dtype}
    report = export(Config.model_validate(config), tiny_dataset, ranker_folder, tmp_path).report
    assert report.check.largest_difference < 1e-6
    assert report.contents.tables["item"] == {
        "rows": tiny_dataset.num_rows("item"), "dim": 8, "dtype": dtype, "vocabulary": "item",
        "bytes": bytes_of_a_row * tiny_dataset.num_rows("item"), "digest": tiny_dataset.digests["item"]}
    cost = report.table_cost
    assert (cost.split, cost.impressions) == ("validation", tiny_dataset.num_examples("impressions/validation"))
    assert 0 < cost.largest_difference < 0.02
    assert cost.log_loss.cost == pytest.approx(cost.log_loss.served - cost.log_loss.trained)
    assert 0 < abs(cost.log_loss.cost) < 1e-3
    trained = load_ranker(ranker_folder, tiny_dataset)
    largest = max(np.abs(table.numpy()).max() for table in trained.tables.values())
    rows = np.abs(quantized(trained, dtype).tables["item"].numpy() - trained.tables["item"].numpy())
    assert 0 < rows.max() < largest / 127


def test_a_cost_above_the_tolerance_stops_the_export(tiny_dataset, ranker_folder):
    trained = load_ranker(ranker_folder, tiny_dataset)
    with pytest.raises(UserError, match=r"changes a validation score by 0\.\d+, export.table_tolerance allows 1e-07"):
        quantization_cost(trained, quantized(trained, "int8"), tiny_dataset, 1e-7)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_the_error_of_a_row_is_bounded_by_its_largest_value(dtype):
    rows = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32) * np.logspace(-3, 3, 200)[:, None]
    rows = rows.astype(np.float32)
    errors = np.abs(quantize_dequantize(rows, dtype) - rows)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    bound = largest / 127 / 2 * 1.0001 if dtype == "int8" else np.abs(rows) * 2.0**-11 + 2.0**-25
    assert (errors <= bound).all()
    assert errors.max() > 0


def test_scales_reach_127_at_the_largest_value_of_each_row():
    np.testing.assert_allclose(row_scales(np.array([[127, -1], [0, 0], [1, -254]], np.float32)), [[1], [1], [2]])
    assert quantize_dequantize(np.array([[127, 0.4, -0.6]], np.float32), "int8").tolist() == [[127, 0, -1]]
