"""Texts to values: which are accepted, and as what."""

import datetime
import math

import pyarrow as pa
import pytest

from beam_pipelines.logs.text_values import needs_parsing, parse


def _parse(value_type: str, *texts: str | None) -> tuple[list, list[bool]]:
    column, bad = parse(pa.array(texts, pa.string()), value_type)
    return column.to_pylist(), bad.tolist()


def test_strings_are_not_changed():
    assert _parse("string", "", " a ", None) == (["", " a ", None], [False] * 3)


@pytest.mark.parametrize(("text", "value"), [
    ("0", 0), ("-12", -12), ("007", 7), ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -2**63)])
def test_integers(text, value):
    assert _parse("int64", text, "1") == ([value, 1], [False, False])


@pytest.mark.parametrize("text", ["", "-", "+1", "1.0", " 1", "1 ", "1e3", "0x1", "9223372036854775808", "1" * 20,
                                  "\u0661"])
def test_other_texts_are_no_integers(text):
    assert _parse("int64", text, "1", None) == ([None, 1, None], [True, False, False])


@pytest.mark.parametrize(("text", "value"), [
    ("1", 1), ("-2.5", -2.5), ("+3.", 3), (".5", 0.5), ("1e3", 1000), ("2E-2", 0.02), ("1e9999", math.inf)])
def test_numbers(text, value):
    assert _parse("float32", text) == ([value], [False])


@pytest.mark.parametrize("text", ["nan", "NaN", "Nan", "inf", "-Inf", "+infinity"])
def test_numbers_that_are_not_finite_are_missing(text):
    [value], bad = _parse("float32", text)
    assert (math.isnan(value), bad) == (True, [False])


@pytest.mark.parametrize("text", ["", ".", "e5", "1,5", "1e", "0x1p3", "NAN", "--1", "1e12345", "infinit"])
def test_other_texts_are_no_numbers(text):
    assert _parse("float32", text) == ([None], [True])


@pytest.mark.parametrize(("text", "value"), [("true", 1), ("False", 0), ("TRUE", 1), ("0", 0), ("1.0", 1), ("3", 3)])
def test_labels_are_numbers_or_words(text, value):
    assert _parse("label", text) == ([value], [False])


@pytest.mark.parametrize("text", ["yes", "t", "", "truefalse"])
def test_other_texts_are_no_labels(text):
    assert _parse("label", text, None) == ([None, None], [True, False])


@pytest.mark.parametrize(("text", "value"), [
    ("2024-03-02", (2024, 3, 2)), ("2024-03-02T01:02", (2024, 3, 2, 1, 2)),
    ("2024-03-02 01:02:03.004", (2024, 3, 2, 1, 2, 3, 4000)),
    ("2024-03-02T01:02:03.000004999Z", (2024, 3, 2, 1, 2, 3, 4)),
    ("2024-03-02T01:02:03-05:30", (2024, 3, 2, 6, 32, 3)), ("2024-03-02T01:02:03+0100", (2024, 3, 2, 0, 2, 3)),
    ("2024-03-02 01:02:03 UTC", (2024, 3, 2, 1, 2, 3))])
def test_times_are_utc(text, value):
    assert _parse("timestamp", text) == ([datetime.datetime(*value)], [False])


@pytest.mark.parametrize("text", ["2024", "2024-3-2", "2024-13-01", "2024-03-02T24:00", "2024-03-02T1:02", "UTC",
                                  "2024-03-02T01:02:03.", "2024-03-02 01:02:03 CET", ""])
def test_other_texts_are_no_times(text):
    assert _parse("timestamp", text) == ([None], [True])


@pytest.mark.parametrize(("stored", "value_type", "expected"), [
    (pa.string(), "int64", True), (pa.string(), "string", False), (pa.int64(), "int64", False),
    (pa.float64(), "float32", False), (pa.string(), "string[]", True), (pa.large_string(), "int64[|]", True),
    (pa.dictionary(pa.int8(), pa.string()), "string[,]", True), (pa.list_(pa.string()), "string[]", False)])
def test_only_texts_of_another_type_are_parsed(stored, value_type, expected):
    assert needs_parsing(stored, value_type) is expected
