"""Texts of Arrow columns against those of the values one by one."""

import datetime
import decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.sources import arrow_texts
from beam_pipelines.sources.arrow_texts import arrow_to_texts, texts_of
from beam_pipelines.sources.bigquery import _to_columns
from beam_pipelines.sources.text import to_text

MOMENTS = st.datetimes() | st.datetimes().map(lambda moment: moment.replace(microsecond=0))
VALUES = {
    "int64": (st.integers(-2**63, 2**63 - 1), pa.int64()), "float64": (st.floats(), pa.float64()),
    "string": (st.text(), pa.string()), "bool": (st.booleans(), pa.bool_()), "date": (st.dates(), pa.date32()),
    "datetime": (MOMENTS, pa.timestamp("us")),
    "timestamp": (MOMENTS.map(lambda moment: moment.replace(tzinfo=datetime.UTC)), pa.timestamp("us", "UTC")),
    "time": (st.times(), pa.time64("us")), "list": (st.lists(st.integers(0, 9)), pa.list_(pa.int64())),
    "numeric": (st.decimals(-10**9, 10**9, places=9), pa.decimal128(38, 9)),
    "bytes": (st.text().map(str.encode), pa.binary())}


@pytest.mark.parametrize("kind", VALUES)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_texts_are_those_of_single_values(kind, data):
    values, dtype = VALUES[kind]
    column = pa.array(data.draw(st.lists(st.none() | values, max_size=6)), dtype)
    start = data.draw(st.integers(0, len(column)))
    assert texts_of(column.slice(start)).to_pylist() == [to_text(value.as_py()) for value in column.slice(start)]


def rows(batches):
    found = []
    for batch in batches:
        assert set(batch.positions.tolist()) <= {-1}
        assert len(batch.positions) == batch.columns.num_rows
        found.append((batch.path, batch.columns.to_pylist(), batch.absent, batch.malformed))
    return found


def test_records_absent_columns_and_bytes_are_those_of_rows():
    content = [{"a": {"b": 1, "c": [True]}, "x": b"v\xc3\xa9", "n": decimal.Decimal("1.50"), "a.b": None},
               {"a": None, "x": None, "n": None, "a.b": 7.0}]
    batch = pa.RecordBatch.from_pylist(content, pa.schema([
        ("a", pa.struct([("b", pa.int64()), ("c", pa.list_(pa.bool_()))])), ("x", pa.binary()),
        ("n", pa.decimal128(38, 9)), ("a.b", pa.float64())]))
    columns = ["x", "a.b", "a.c", "a", "n", "nowhere"]
    assert rows(arrow_to_texts(batch, "p", columns, 100)) == rows(_to_columns(batch.to_pylist(), "p", columns))
    [found] = arrow_to_texts(batch, "p", [*columns, "a.nowhere"], 100)
    assert found.absent == {"nowhere", "a.nowhere"}  # the type says so, also where the record is null
    assert found.columns["x"].to_pylist() == ["vé", None]


def test_a_row_with_other_bytes_is_malformed_and_the_others_are_read():
    batch = pa.RecordBatch.from_pydict({"x": [b"a", b"\xff", b"c"], "y": [1, 2, 3]})
    [found] = arrow_to_texts(batch, "p", ["y", "x"], 100)
    assert found.columns.to_pylist() == [{"y": "1", "x": "a"}, {"y": "3", "x": "c"}]
    assert [(row.position, row.reason) for row in found.malformed] == [(-1, "not UTF-8")]


def test_batches_have_a_limit_of_rows_and_of_text(monkeypatch):
    batch = pa.RecordBatch.from_pydict({"x": [f"{number:0100d}" for number in range(50)]})
    assert [part.columns.num_rows for part in arrow_to_texts(batch, "p", ["x"], 20)] == [20, 20, 10]
    monkeypatch.setattr(arrow_texts, "MAX_BATCH_CHARACTERS", 1000)
    parts = list(arrow_to_texts(batch, "p", ["x"], 20))
    assert max(part.columns.num_rows for part in parts) <= 10
    assert [value for part in parts for value in part.columns["x"].to_pylist()] == batch["x"].to_pylist()
    assert list(arrow_to_texts(batch.slice(0, 0), "p", ["x"], 20)) == []
