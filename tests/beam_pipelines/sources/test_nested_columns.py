"""Fields of nested records, by dotted name, and files without rows."""

import json

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_pipelines.sources import open_source

ROWS = [{"user": {"id": 1, "geo": {"city": "a"}}, "n": 1}, {"user": None, "n": 2}, {"user": {"id": 3, "geo": None},
                                                                                       "n": 3}]
COLUMNS = ["n", "user.geo.city", "user.id"]
EXPECTED = [[1, "a", 1], [2, None, None], [3, None, 3]]


def _rows(tmp_path, name, columns):
    source = open_source("t", name, str(tmp_path))
    types = [types for _, types in source.column_types()]
    batches = list(source.read_all(columns))
    return types, [list(row.values()) for batch in batches for row in batch.columns.to_pylist()]


def test_structs_of_parquet(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "t.parquet")
    [types], rows = _rows(tmp_path, "t.parquet", COLUMNS)
    assert rows == EXPECTED
    assert (types["user.id"], types["user.geo.city"]) == (pa.int64(), pa.string())


def test_a_column_with_a_dot_in_its_name_comes_first(tmp_path):
    table = pa.Table.from_pylist(ROWS).append_column("user.id", pa.array(["x", "y", "z"]))
    pq.write_table(table, tmp_path / "t.parquet")
    [types], rows = _rows(tmp_path, "t.parquet", ["user.id", "user.geo.city"])
    assert rows == [["x", "a"], ["y", None], ["z", None]]
    assert types["user.id"] == pa.string()


def test_long_texts_in_structs_do_not_fill_the_memory(tmp_path):
    table = pa.table({"user": pa.array([{"id": "v" * (1 << 20)}] * 600)})
    pq.write_table(table, tmp_path / "t.parquet", compression="gzip")
    sizes = [batch.columns.num_rows for batch in open_source("t", "t.parquet", str(tmp_path)).read_all(["user.id"])]
    assert (sum(sizes), max(sizes)) == (600, 256)


def test_objects_of_json_lines(tmp_path):
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, [*ROWS, {"n": 4, "user": 5}, {"n": 5, "user.id": 6}])))
    _, rows = _rows(tmp_path, "t.jsonl", COLUMNS)
    assert rows == [["1", "a", "1"], ["2", None, None], ["3", None, "3"], ["4", None, None], ["5", None, "6"]]
    (tmp_path / "u.jsonl").write_text('{"user": {"id": 1}}\n{"user": {"id": null}}\n')
    [batch] = open_source("t", "u.jsonl", str(tmp_path)).read_all(["user.id", "user.age", "n.x"])
    assert batch.absent == {"user.age", "n.x"}


def test_records_of_avro(tmp_path):
    geo = {"type": "record", "name": "geo", "fields": [{"name": "city", "type": "string"}]}
    user = {"type": "record", "name": "user", "fields": [{"name": "id", "type": "long"},
                                                         {"name": "geo", "type": ["null", geo]}]}
    schema = {"type": "record", "name": "row", "fields": [{"name": "user", "type": ["null", user]},
                                                          {"name": "n", "type": "long"}]}
    with (tmp_path / "t.avro").open("wb") as file:
        fastavro.writer(file, schema, ROWS)
    [types], rows = _rows(tmp_path, "t.avro", COLUMNS)
    assert rows == [["1", "a", "1"], ["2", None, None], ["3", None, "3"]]
    assert set(COLUMNS) <= set(types)


@pytest.mark.parametrize("dtype", [pa.null(), pa.float64(), pa.string()])
def test_a_file_without_rows_has_any_types(dtype, tmp_path):
    """pandas writes an empty column of objects as type null, and an empty column of integers often as double."""
    (tmp_path / "t").mkdir()
    pq.write_table(pa.table({"x": pa.array([], dtype)}), tmp_path / "t" / "a.parquet")
    pq.write_table(pa.table({"x": [7]}), tmp_path / "t" / "b.parquet")
    types, rows = _rows(tmp_path, "t", ["x"])
    assert (types, rows) == ([{"x": pa.null()}, {"x": pa.int64()}], [[7]])
