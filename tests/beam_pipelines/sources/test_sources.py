"""Each format: literal files, and the rows and positions that are read; damaged files and rows are named."""

import datetime
import gzip
import importlib.util
import json

import fastavro
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from planted import planted_config as planted_tree

from beam_pipelines.build_dataset import build
from beam_pipelines.jobs.job import RUN_FILE
from beam_pipelines.sources import open_source
from beam_pipelines.sources.base import MalformedRow
from tfrs_pretrain.config import Config, Source, Sources
from tfrs_pretrain.errors import UserError


def _has_client() -> bool:
    try:
        return importlib.util.find_spec("google.cloud.bigquery_storage_v1") is not None
    except ModuleNotFoundError:
        return False


HAS_CLIENT = _has_client()


def _read(tmp_path, name: str, columns: list[str]):
    """Reads a table; returns lists of positions, rows and malformed rows."""
    positions, rows, malformed = [], [], []
    source = open_source("t", name, str(tmp_path))
    for batch in source.read_all(columns):
        assert batch.path == str(tmp_path / name)
        positions += batch.positions.tolist()
        rows += batch.columns.to_pylist()
        malformed += batch.malformed
    return positions, rows, malformed


@pytest.mark.parametrize(("path", "form"), [
    ("a.parquet", "parquet"), ("folder", "parquet"), ("a.csv", "csv"), ("a/*.csv.gz", "csv"), ("a.ndjson", "jsonl"),
    ("gs://bucket/x.jsonl.gz", "jsonl"), ("a.avro", "avro")])
def test_the_suffix_of_a_path_determines_the_format(path, form):
    assert Source.from_declared(path).format == form
    assert Sources(items=path).items == path


@pytest.mark.parametrize("mapping", [{}, {"path": "x", "query": "select 1", "format": "bigquery"},
                                     {"query": "select 1", "format": "csv"}, {"path": "x", "format": "xml"}])
def test_a_source_has_exactly_one_location(mapping):
    with pytest.raises(ValueError, match=r"source|format"):
        Sources(items=mapping)


def test_csv_fields_are_text_and_empty_ones_missing(tmp_path):
    (tmp_path / "t.csv").write_bytes(
        '\ufeffid,name,unused\r\n1,"a ""b"", c",x\r\n\r\n2,"two\r\nlines",\r\n,é,\r\n'.encode())
    positions, rows, malformed = _read(tmp_path, "t.csv", ["name", "id"])
    assert rows == [{"name": 'a "b", c', "id": "1"}, {"name": "two\r\nlines", "id": "2"}, {"name": "é", "id": None}]
    assert positions == [2, 5, 6]
    assert malformed == []


def test_bad_csv_rows_are_malformed_and_the_others_are_read(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'id,name\n1,a\n2\n3,b,c\n4,"x"y\n5,\xff\n6,d\n')
    positions, rows, malformed = _read(tmp_path, "t.csv", ["id"])
    assert rows == [{"id": "1"}, {"id": "6"}]
    assert positions == [2, 7]
    assert [(row.position, row.reason) for row in malformed] == [
        (3, "wrong number of fields"), (4, "wrong number of fields"), (5, "malformed row"), (6, "not UTF-8")]
    assert malformed[1].text == "3,b,c"


def test_json_lines(tmp_path):
    lines = ['{"id": 1, "name": "é", "x": [1, {"y": 2}], "ok": true}', "", '{"name": null, "x": 2.5}', "{bad", "[1]"]
    (tmp_path / "t.jsonl").write_text("\n".join(lines), encoding="utf-8")
    positions, rows, malformed = _read(tmp_path, "t.jsonl", ["id", "name", "x", "ok"])
    assert rows == [{"id": "1", "name": "é", "x": '[1, {"y": 2}]', "ok": "true"},
                    {"id": None, "name": None, "x": "2.5", "ok": None}]
    assert positions == [1, 3]
    assert malformed == [MalformedRow(4, "not a JSON object", "{bad"), MalformedRow(5, "not a JSON object", "[1]")]


def _avro(path, rows):
    fields = [{"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]},
              {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]
    with path.open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "row", "fields": fields}, rows, sync_interval=2000)


def test_avro(tmp_path):
    moment = datetime.datetime(2024, 3, 2, 1, 2, 3, 4, tzinfo=datetime.UTC)
    _avro(tmp_path / "t.avro", [{"id": 7, "name": "é", "at": moment}, {"id": 8, "name": None, "at": moment}])
    positions, rows, malformed = _read(tmp_path, "t.avro", ["at", "id", "name"])
    assert rows == [{"at": "2024-03-02T01:02:03.000004+00:00", "id": "7", "name": "é"},
                    {"at": "2024-03-02T01:02:03.000004+00:00", "id": "8", "name": None}]
    assert (positions, malformed) == ([0, 1], [])


@pytest.mark.parametrize("value", [b"v00096", bytearray(b"v00096"), "v00096"])
def test_bytes_are_utf8_text(value):
    from beam_pipelines.sources.bigquery import _to_columns

    [batch] = _to_columns([{"x": value, "l": [value] if isinstance(value, str) else [bytes(value)]}], "b", ["x", "l"])
    assert batch.columns.to_pylist() == [{"x": "v00096", "l": '["v00096"]'}]


def test_bytes_of_avro_are_text_and_others_are_rejected(tmp_path):
    schema = {"type": "record", "name": "row", "fields": [{"name": "id", "type": "bytes"}]}
    with (tmp_path / "t.avro").open("wb") as file:
        fastavro.writer(file, schema, [{"id": "vé".encode()}, {"id": b"\xff"}, {"id": b"w"}])
    positions, rows, malformed = _read(tmp_path, "t.avro", ["id"])
    assert (positions, rows) == ([0, 2], [{"id": "vé"}, {"id": "w"}])
    assert [(row.position, row.reason) for row in malformed] == [(1, "not UTF-8")]
    assert "xff" in malformed[0].text


def test_a_column_that_no_row_has_is_not_a_null(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"x": null}\n{"y": 1}\n{"y": 2}\n')
    source = open_source("t", "t.jsonl", str(tmp_path))
    [batch] = source.read_all(["x", "y", "z"])
    assert batch.columns.to_pydict() == {"x": [None] * 3, "y": [None, "1", "2"], "z": [None] * 3}
    assert batch.present == {"x", "y"}


def test_parquet_positions_count_over_row_groups(tmp_path):
    pq.write_table(pa.table({"x": [5, 6, 7, 8, 9]}), tmp_path / "t.parquet", row_group_size=2)
    positions, rows, _ = _read(tmp_path, "t.parquet", ["x"])
    assert list(zip(positions, [row["x"] for row in rows], strict=True)) == [(0, 5), (1, 6), (2, 7), (3, 8), (4, 9)]


def test_compressed_text(tmp_path):
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write("id\n4\n")
    assert _read(tmp_path, "t.csv.gz", ["id"])[1] == [{"id": "4"}]


def _many_avro(path):
    moment = datetime.datetime(2024, 3, 2, tzinfo=datetime.UTC)
    _avro(path, [{"id": number, "name": "n" * 50, "at": moment} for number in range(500)])


def _damaged_avro(path):
    _many_avro(path)
    content = bytearray(path.read_bytes())
    content[3000:3400] = b"\xff" * 400
    path.write_bytes(content)


def _cut_avro(path):
    _many_avro(path)
    path.write_bytes(path.read_bytes()[:-700])


DAMAGED = {
    "csv: unclosed quote": ("t.csv", lambda path: path.write_text('id\n1\n"2\n3\n4\n'), r"as CSV \(line 3: "),
    "csv: empty": ("t.csv", lambda path: path.write_text(""), r"as CSV \(line 1 must name each column once"),
    "csv: repeated name": ("t.csv", lambda path: path.write_text("id,id\n1,2\n"), r"line 1 .*\['id', 'id'\]"),
    "csv: cut gzip": ("t.csv.gz", lambda path: path.write_bytes(gzip.compress(b"id\n" + b"1\n" * 9999)[:-9]), "as CSV"),
    "csv: not gzip": ("t.csv.gz", lambda path: path.write_text("id\n1\n"), "as CSV .*gzip"),
    "jsonl: an array": ("t.jsonl", lambda path: path.write_text("[\n1,\n2]\n"), r"as JSON lines \("),
    "avro: text": ("t.avro", lambda path: path.write_text("id\n1\n"), "as Avro"),
    "avro: damaged block": ("t.avro", _damaged_avro, "as Avro"),
    "avro: cut": ("t.avro", _cut_avro, "as Avro"),
    "parquet: text": ("t.parquet", lambda path: path.write_text("id\n1\n"), "as Parquet"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named_in_one_line(damage, tmp_path):
    name, write, message = DAMAGED[damage]
    write(tmp_path / name)
    source = open_source("t", name, str(tmp_path))
    with pytest.raises(UserError, match=rf"table t: '.*{name}' is not readable {message}|{message}") as caught:
        list(source.column_types())
        list(source.read_all(["id"]))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_nothing_is_opened_before_a_pipeline_runs():
    for name in ("a.parquet", "a.csv", "a.jsonl", "a.avro"):
        assert open_source("t", f"gs://nowhere/{name}", "raw").read(["x"], 10)
    assert open_source("t", Source(format="bigquery", path="p:d.t"), "raw").read(["x"], 10)


BIGQUERY = [{"path": "project:dataset.table"}, {"path": "project:dataset.table", "method": "EXPORT"},
            {"query": "select 1 as x", "method": "EXPORT"}, {"query": "select 1 as x"}]


@pytest.mark.parametrize("place", BIGQUERY)
def test_bigquery_without_its_client_says_what_to_install(place, monkeypatch):
    import apache_beam as beam

    source = open_source("t", Source(format="bigquery", **place), "raw")
    assert [columns for _, columns in source.column_types()] == [None]
    with pytest.raises(UserError, match="cannot come from BigQuery"):
        list(source.read_all(["x"]))
    if HAS_CLIENT:
        pytest.skip("the client is installed")
    with pytest.raises(UserError, match=r"pip install 'tfrs-pretrain\[gcp\]'"):
        _ = beam.Pipeline(runner="FnApiRunner") | source.read(["x"], 10)


@pytest.mark.skipif(not HAS_CLIENT, reason="needs the gcp extra")
@pytest.mark.parametrize("place", BIGQUERY)
def test_bigquery_is_constructed_without_a_request(place):
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    options = PipelineOptions(["--project=p", "--temp_location=gs://bucket/tmp"])
    assert beam.Pipeline(options=options, runner="FnApiRunner") | open_source(
        "t", Source(format="bigquery", **place), "raw").read(["x"], 10)


def test_rows_of_bigquery_become_text():
    from beam_pipelines.sources.bigquery import _to_columns

    [batch] = _to_columns([{"x": 5, "at": datetime.datetime(2024, 3, 2), "b": True, "f": 0.5}, {"x": None}],
                          "bigquery:p:d.t", ["x", "at", "b", "f"])
    assert batch.columns.to_pylist() == [{"x": "5", "at": "2024-03-02T00:00:00", "b": "true", "f": "0.5"},
                                      {"x": None, "at": None, "b": None, "f": None}]
    assert batch.positions.tolist() == [-1, -1]


def test_bigquery_in_a_pipeline(monkeypatch):
    """Tests the source without the client, which a collection of dicts replaces."""
    import apache_beam as beam
    from apache_beam.testing import test_pipeline
    from apache_beam.testing.util import assert_that, equal_to

    from beam_pipelines.sources import bigquery

    monkeypatch.setattr(bigquery._ReadBigQuery, "_rows", lambda self: beam.Create([{"x": 1, "y": 2}, {"x": None}]))
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        batches = pipeline | open_source("t", Source(format="bigquery", query="select"), "raw").read(["x"], 1)
        assert_that(batches | beam.Map(lambda batch: (batch.path, batch.columns.to_pylist())),
                    equal_to([("bigquery:select", [{"x": "1"}]), ("bigquery:select", [{"x": None}])]))


def _write(frame: pd.DataFrame, path, form: str) -> None:
    if form == "csv":
        frame.to_csv(path, index=False)
    elif form == "jsonl":
        frame.to_json(path, orient="records", lines=True, date_format="iso", date_unit="us", force_ascii=False,
                      double_precision=15)
    else:
        kinds = {"i": "long", "f": "double", "O": "string", "U": "string", "T": "string",
                 "M": {"type": "long", "logicalType": "timestamp-micros"}}
        fields = [{"name": name, "type": ["null", kinds[getattr(kind, "kind", "O")]]}
                  for name, kind in frame.dtypes.items()]
        rows = [{name: _avro_value(value) for name, value in row.items()} for row in frame.to_dict("records")]
        with path.open("wb") as file:
            fastavro.writer(file, {"type": "record", "name": "row", "fields": fields}, rows)


def _avro_value(value):
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime().replace(tzinfo=datetime.UTC)
    return None if pd.isna(value) else value


@pytest.mark.parametrize("form", ["csv", "jsonl", "avro"])
def test_any_format_gives_the_same_dataset(form, tiny_dataset, planted_logs, tmp_path):
    """Two damaged rows in the text formats are rejected and change nothing else."""
    tables = ("engagements", "impressions", "items", "users")
    for name in tables:
        frame = pd.read_parquet(planted_logs / f"{name}.parquet")
        for column in ("dwell", "quality"):
            if column in frame:
                # The shortest text of a float32, parsed as float64, is another number.
                frame[column] = frame[column].astype(np.float64)
        _write(frame.astype({"item": object}) if "item" in frame else frame, tmp_path / f"{name}.{form}", form)
    if form != "avro":
        with (tmp_path / f"impressions.{form}").open("a", encoding="utf-8") as file:
            file.write("17,x\n18,y\n" if form == "csv" else json.dumps({"member": "x"}) + "\n}{\n")
    tree = planted_tree()
    tree["dataset"]["sources"] = {name: f"{name}.{form}" for name in tables}
    info = build(Config.model_validate(tree), tmp_path, tmp_path / "out")
    assert sum(info["counts"]["impressions"]["rejected"].values()) == (0 if form == "avro" else 2)
    for path in tiny_dataset.folder.rglob("*"):
        if path.is_file() and path.name not in ("dataset_info.json", RUN_FILE):
            assert (tmp_path / "out" / path.relative_to(tiny_dataset.folder)).read_bytes() == path.read_bytes(), path


def test_a_bad_row_of_a_side_table_is_an_error(planted_logs, tmp_path):
    (tmp_path / "users.csv").write_text("member,country\n1000,x\nseven,y\n")
    tree = planted_tree()
    tree["dataset"]["sources"] = {name: str(planted_logs / f"{name}.parquet")
                                  for name in ("engagements", "impressions", "items")} | {"users": "users.csv"}
    with pytest.raises(UserError, match=r"users.csv', position 3: column 'member' is 'seven', expected int64"):
        build(Config.model_validate(tree), tmp_path, tmp_path / "out")
