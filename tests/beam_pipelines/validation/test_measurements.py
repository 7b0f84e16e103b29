"""Statistics to measurements, from literal statistics of literal manifests."""

import math

import numpy as np
import pytest

from beam_pipelines.validation.dataset import DescribedDataset
from beam_pipelines.validation.measurements import measure_contents, measure_drift, measure_schema_changes
from tfrs_pretrain.schema import Schema

SCHEMA = {"user": {"column": "u", "dtype": "int64"}, "item": {"column": "i", "dtype": "string"}, "time": "t",
          "window": "w", "label": "y",
          "features": [{"name": "price", "source": "items", "kind": "numeric", "dtype": "float32"},
                       {"name": "place", "source": "impressions", "kind": "categorical", "dtype": "string"}]}
SPLIT = "impressions/test"
DTYPES = {"key": "int64", "user_id": "int64", "item_id": "string", "user": "int64", "item": "int64",
          "label": "float32", "price": "float32", "place": "int64"}


def _dataset(schema: dict | None = None, digests: dict | None = None, kind: str = "pairs") -> DescribedDataset:
    digests = {"user": "u", "item": "i", "place": "p"} | (digests or {})
    info = {"kind": kind, "splits": {SPLIT: {"examples": 4, "shards": []}}, "vocabularies": {
        name: {"digest": digest, "oov_rows": 1, "rows": 5} for name, digest in digests.items() if digest}}
    return DescribedDataset("nowhere", info, Schema.model_validate(SCHEMA | (schema or {})))


def _column(dtype: str, **changes) -> dict:
    numeric = {"mean": 1.0, "std": 2.0} if dtype == "float32" else {}
    return {"dtypes": {dtype: 4}, "not_single": 0, "values": 4, "missing": 0, "oov": 0, "unknown": 0,
            "histogram": [[1, 2], [3, 1]]} | numeric | changes


def _split(columns: dict | None = None, **changes) -> dict:
    measured = {name: _column(dtype) for name, dtype in DTYPES.items()} | (columns or {})
    return {"records": 4, "examples": 4, "malformed": 0, "damaged": {},
            "columns": {name: column for name, column in measured.items() if column}} | changes


def _contents(**changes) -> dict:
    measurements = measure_contents(_dataset(), {SPLIT: _split(**changes)})
    return {(found.threshold, found.column): (found.value, found.detail) for found in measurements}


def test_sound_contents_measure_zero():
    found = _contents()
    assert {value for value, _ in found.values()} == {0}
    assert {column for threshold, column in found if threshold == "max_unknown_rows"} == {"user", "item", "place"}


@pytest.mark.parametrize(("changes", "key", "expected"), [
    ({"damaged": {"b": "cut", "a": "bad"}}, ("max_damaged_files", ""), (2, "a: bad; b: cut")),
    ({"malformed": 3}, ("max_malformed_records", ""), (3, "")),
    ({"examples": 1}, ("max_miscounted_examples", ""), (3, "1 found, 4 in dataset_info.json")),
    ({"examples": 9}, ("max_miscounted_examples", ""), (5, "9 found, 4 in dataset_info.json")),
    ({"columns": {"price": None}}, ("max_missing_columns", ""), (1, "price")),
    ({"columns": {"price": _column("float32", dtypes={"float32": 3})}}, ("max_missing_columns", ""), (1, "price")),
    ({"columns": {"b": _column("int64"), "a": _column("int64")}}, ("max_new_columns", ""), (2, "a, b")),
    ({"columns": {"price": _column("int64")}}, ("max_type_differences", ""), (1, "price (int64, expected float32)")),
    ({"columns": {"price": _column("float32", dtypes={"int64": 1, "float32": 3})}}, ("max_type_differences", ""),
     (1, "price (float32/int64, expected float32)")),
    ({"columns": {"place": _column("int64", not_single=2)}}, ("max_type_differences", ""),
     (1, "place (int64, 2 records without exactly one value, expected int64)")),
    ({"columns": {"place": _column("int64", unknown=2)}}, ("max_unknown_rows", "place"), (2, "")),
    ({"columns": {"place": _column("int64", oov=1)}}, ("max_oov_share", "place"), (0.25, "")),
    ({"columns": {"price": _column("float32", missing=3)}}, ("max_missing_share", "price"), (0.75, "")),
    ({"columns": {"place": _column("int64", missing=1, examples=2)}}, ("max_missing_share", "place"), (0.5, "")),
])
def test_each_fault_has_its_measurement(changes, key, expected):
    found = _contents(**changes)
    assert found[key] == expected


def test_columns_of_a_split_without_records_are_not_missing():
    assert _contents(columns=dict.fromkeys(DTYPES), records=0)["max_missing_columns", ""] == (0, "")


def test_vocabulary_files_that_are_not_there_are_mismatches():
    found = list(measure_contents(_dataset(kind="dataset"), {}))
    assert [(measurement.threshold, measurement.value, measurement.detail) for measurement in found] == [
        ("max_vocabulary_mismatches", 3, "user, item, place")]
    assert list(measure_contents(_dataset(kind="pairs"), {})) == []


def test_schema_changes_are_named_from_both_sides():
    other = {"features": [{"name": "price", "source": "items", "kind": "categorical", "dtype": "string"},
                          {"name": "old", "source": "items", "kind": "numeric", "dtype": "float32"}]}
    found = {measurement.threshold: (measurement.value, measurement.detail) for measurement in measure_schema_changes(
        _dataset(digests={"user": "changed", "place": "p"}), _dataset(other, {"place": None, "price": "q"}))}
    assert found == {
        "max_vocabulary_changes": (3, "place, price, user"),
        "max_missing_columns": (1, "compared with the reference: old"),
        "max_new_columns": (1, "compared with the reference: place"),
        "max_type_differences": (1, "price (float32, int64 in the reference)")}


def _drift(column: str, own: dict, reference: dict, **dataset) -> dict[str, float]:
    found = measure_drift(_dataset(**dataset), SPLIT, _split({column: own}), _dataset(**dataset),
                          _split({column: reference}))
    return {measurement.threshold: measurement.value for measurement in found if measurement.column == column}


def test_drift_of_a_numeric_column():
    own = _column("float32", mean=4.0, std=1.0, missing=2, histogram=[[1, 9], [1, 1]])
    found = _drift("price", own, _column("float32"))
    assert found["max_missing_shift"] == 0.5
    assert found["max_mean_shift"] == 1.5
    assert found["max_std_shift"] == pytest.approx(math.log(2))
    assert found["max_ks"] == pytest.approx(0.5)  # at the end of bin 2: 1/2 of the values against 4/4
    assert found["max_psi"] > 0


def test_missing_categories_and_empty_lists_shift_even_without_any_value():
    assert _drift("place", _column("int64", missing=3, examples=4), _column("int64", missing=1, examples=8))[
        "max_missing_shift"] == 0.75 - 0.125
    empty = _column("int64", values=0, missing=4, examples=4)
    assert _drift("place", empty, _column("int64", missing=0, examples=4)) == {"max_missing_shift": 1}


def test_drift_of_a_label_is_that_of_its_rate():
    assert _drift("label", _column("float32", mean=0.25), _column("float32", mean=0.75)) == {
        "max_label_rate_shift": 0.5}


def test_drift_of_ids_is_measured_by_popularity_band():
    found = _drift("item", _column("int64", oov=1), _column("int64", oov=3, histogram=[[1, 2], [1, 3]]))
    assert found["max_oov_shift"] == 0.5
    # Bands 1 and 2, ids outside the vocabulary, and no other values; half an occurrence is added to each.
    p, q = np.array([3.5, 1.5, 1.5, 0.5]) / 7, np.array([1.5, 3.5, 3.5, 0.5]) / 9
    assert found["max_psi"] == pytest.approx(((p - q) * np.log(p / q)).sum())


@pytest.mark.parametrize("column", ["item_id", "key"])
def test_columns_without_a_distribution_do_not_drift(column):
    dtype = DTYPES[column]
    assert _drift(column, _column(dtype), _column(dtype, oov=4)) == {}


def test_columns_without_values_are_skipped():
    assert _drift("price", _column("float32", values=0), _column("float32")) == {}
    assert _drift("price", _column("float32"), _column("float32", values=0)) == {}
