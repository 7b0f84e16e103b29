"""Stored types other than the declared ones: every value is kept exactly, or is a bad value of its own row."""

import datetime
import decimal
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from beam_pipelines.logs.stored_values import convert

D = decimal.Decimal


def _convert(column: pa.Array, value_type: str):
    values, bad = convert(column, value_type)
    assert len(values) == len(bad) == len(column)
    return values, bad.tolist()


@pytest.mark.parametrize(("column", "value_type", "expected", "bad"), [
    (pa.array([5.0, -3.0, None, math.nan, 0.5, math.inf, 2.0**53]), "int64",
     [5, -3, None, None, None, None, None], [4, 5, 6]),
    (pa.array([16777215.0, 16777216.0], pa.float32()), "int64", [16777215, None], [1]),
    (pa.array([7, None, 2**63 - 1, 2**63], pa.uint64()), "int64", [7, None, 2**63 - 1, None], [3]),
    (pa.array([D("12.00"), D("-4.00"), None]), "int64", [12, -4, None], []),
    (pa.array([D("12.00"), D("0.50")]), "int64", [12, None], [1]),
    (pa.array([D(2**63), D(-2**63), D(1)]), "int64", [None, -2**63, 1], [0]),
    (pa.array([True, False, None]), "int64", [1, 0, None], []),
    (pa.array([True, False, None]), "float32", [1.0, 0.0, None], []),
    (pa.array([D("0.25"), None]), "float32", [0.25, None], []),
    (pa.array([D("1.0"), D("0.0")]), "label", [1.0, 0.0], []),
    (pa.array([-5, 2**63 - 1, None]), "string", ["-5", "9223372036854775807", None], []),
    (pa.array([2**64 - 1], pa.uint64()), "string", ["18446744073709551615"], []),
    (pa.array([D(-12), D(10**30)], pa.decimal128(38, 0)), "string", ["-12", "1" + "0" * 30], []),
    (pa.array(["é", None], pa.string_view()), "string", ["é", None], []),
    (pa.array([1.7e9, 0.5]), "timestamp", [1_700_000_000, None], [1]),
    (pa.array([], pa.float64()), "int64", [], []),
])
def test_values_are_kept_exactly_or_bad(column, value_type, expected, bad):
    values, found = _convert(column, value_type)
    assert values.to_pylist() == expected
    assert np.flatnonzero(found).tolist() == bad


@pytest.mark.parametrize("dtype", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()),
                                   pa.string()])
def test_iso_strings_of_any_layout_are_times(dtype):
    texts = pa.array(["2024-03-01T10:00:00+02:00", "soon", None, "2024-03-01"])
    values, bad = _convert(texts if dtype == pa.string() else texts.cast(dtype), "timestamp")
    assert values.to_pylist() == [datetime.datetime(2024, 3, 1, 8), None, None, datetime.datetime(2024, 3, 1)]
    assert bad == [False, True, False, False]


@pytest.mark.parametrize(("value_type", "dtype"), [
    ("int64", pa.int64()), ("string", pa.string()), ("float32", pa.float32()), ("label", pa.float64()),
    ("timestamp", pa.timestamp("us")), ("int64[]", pa.list_(pa.int64())), ("string[|]", pa.list_(pa.string()))])
def test_a_column_of_type_null_has_missing_values(value_type, dtype):
    values, bad = _convert(pa.nulls(2), value_type)
    assert (values.type, values.to_pylist(), bad) == (dtype, [None, None], [False, False])


LISTS = [[1, 2], None, [3, 4], [5, 6]]


@pytest.mark.parametrize("layout", [
    pa.list_(pa.int64(), 2), pa.list_(pa.float64()), pa.large_list(pa.uint64()), pa.list_view(pa.int64()),
    pa.large_list_view(pa.int32()), pa.list_(pa.float32(), 2)])
def test_lists_of_any_layout(layout):
    column = pa.array(LISTS, layout)
    for part, expected in ((column, LISTS), (column.slice(1, 2), LISTS[1:3]), (column.slice(3), LISTS[3:])):
        values, bad = _convert(part, "int64[]")
        assert pa.types.is_list(values.type)
        assert values.to_pylist() == expected
        assert not any(bad)


def test_a_list_with_a_bad_value_is_bad():
    values, bad = _convert(pa.array([[1.0, 0.5], [2.0], [], None, [math.nan]]), "int64[]")
    assert values.to_pylist() == [None, [2], [], None, [None]]
    assert bad == [True, False, False, False, False]
    assert _convert(pa.array([[3, -4], None], pa.list_(pa.int64(), 2)), "string[]")[0].to_pylist() == [["3", "-4"],
                                                                                                    None]


@pytest.mark.parametrize(("column", "value_type"), [
    (pa.array([1], pa.int8()), "int64"), (pa.array([0.5]), "float32"), (pa.array([True]), "label"),
    (pa.array([datetime.date(2024, 1, 1)]), "timestamp"), (pa.array(["x"]), "string"), (pa.array([3]), "timestamp"),
    (pa.array(["x"], pa.large_string()), "string"), (pa.array([[1]]), "int64[]"),
    (pa.array(["x"]).dictionary_encode(), "string"), (pa.array([datetime.date(2024, 1, 1)]), "string")])
def test_columns_that_are_stored_as_declared_are_not_touched(column, value_type):
    assert convert(column, value_type) is None


def test_whole_numbers_are_those_of_pandas():
    """An integer column with missing values that pandas stored as float64."""
    ids = np.random.default_rng(0).integers(-2**52, 2**52, 1000)
    frame = pd.Series(ids).astype("Int64")
    frame[::7] = pd.NA
    values, bad = _convert(pa.array(frame.astype("float64")), "int64")
    assert values.to_pandas(integer_object_nulls=True).tolist() == [None if value is pd.NA else value
                                                                    for value in frame]
    assert not any(bad)
