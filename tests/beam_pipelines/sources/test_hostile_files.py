"""Rows that cannot be read in unusual places: the first line of a file, the middle of a row, an array in a text."""

import pyarrow as pa
import pytest

from beam_pipelines.logs.text_values import parse
from beam_pipelines.sources import open_source

DEEP = "[" * 100_000 + "]" * 100_000


def test_a_first_line_that_is_nested_too_deeply_costs_one_row(tmp_path):
    (tmp_path / "t.jsonl").write_text(f'{{"a": {DEEP}}}\n{{"a": "x"}}\n')
    source = open_source("t", "t.jsonl", str(tmp_path))
    assert [columns for _, columns in source.column_types()] == [None]
    [batch] = source.read_all(["a"])
    assert batch.columns.to_pylist() == [{"a": "x"}]
    assert [row.position for row in batch.malformed] == [1]


def test_a_carriage_return_inside_a_row_costs_that_row(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\r\n1,2\r\n3,x\ry\r\n5,6\r\n")
    [batch] = open_source("t", "t.csv", str(tmp_path)).read_all(["a", "b"])
    assert batch.columns.to_pylist() == [{"a": "1", "b": "2"}, {"a": "5", "b": "6"}]
    [row] = batch.malformed
    assert (row.position, row.reason) == (3, "malformed row")


@pytest.mark.parametrize("text", ['["\\ud83d"]', DEEP, "7", "null x"])
def test_an_array_in_a_text_that_cannot_be_parsed_is_one_bad_value(text):
    values, bad = parse(pa.array(['["a"]', text]), "string[]")
    assert values[0].as_py() == ["a"]
    assert list(bad) == [False, True]
