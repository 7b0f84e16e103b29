"""Iceberg and Delta Lake tables, written by their own libraries, against the same rows as Parquet files."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from planted import planted_config

from beam_pipelines.build_vocabulary import run as build_vocabulary
from beam_pipelines.sources import open_source
from tfrs_pretrain.config import Config, Source
from tfrs_pretrain.errors import UserError

pytestmark = pytest.mark.tools

ROWS = pa.table({"user": pa.array([1, 2, 3, 4], pa.int64()), "item": ["a", "b", None, "ñ"],
                 "stars": pa.array([1.0, 5.0, 4.0, None]),
                 "place": [{"city": "x"}, {"city": "y"}, None, {"city": None}]})
MORE = pa.table({"user": pa.array([9], pa.int64()), "item": ["z"], "stars": pa.array([2.0]),
                 "place": [{"city": "w"}]}).cast(ROWS.schema)


class Iceberg:
    """A table of a catalog in SQLite."""

    def __init__(self, folder, name="t"):
        from pyiceberg.catalog import load_catalog

        self.properties = {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}"}
        self._catalog, self._name = load_catalog("test", **self.properties), name
        self._catalog.create_namespace_if_not_exists("shop")
        self.place = {"path": f"shop.{name}", "format": "iceberg", "catalog": {"name": "test", **self.properties}}

    def append(self, rows):
        table = self._catalog.create_table_if_not_exists(f"shop.{self._name}", rows.schema)
        table.append(rows)
        return table.refresh().current_snapshot().snapshot_id

    def delete(self, user):
        table = self._catalog.load_table(f"shop.{self._name}")
        table.delete(f"user == {user}")
        return table.refresh().current_snapshot().snapshot_id


class Delta:
    """A table in a folder."""

    def __init__(self, folder, name="t"):
        self._folder = str(folder / name)
        self.place = {"path": self._folder, "format": "delta"}

    def append(self, rows):
        from deltalake import DeltaTable, write_deltalake

        write_deltalake(self._folder, rows, mode="append")
        return DeltaTable(self._folder).version()

    def delete(self, user):
        from deltalake import DeltaTable

        table = DeltaTable(self._folder)
        table.delete(f"user = {user}")
        return table.version()


@pytest.fixture(params=[Iceberg, Delta])
def lake(request, tmp_path):
    return request.param(tmp_path)


def read(source, columns=("user", "item", "place.city"), batch_rows=2):
    batches = [batch for part in source.parts() for batch in source.numbered(part, list(columns), batch_rows)]
    assert all(batch.columns.num_rows <= batch_rows for batch in batches)
    assert all(batch.columns.schema.names == list(columns) for batch in batches)
    return sorted((row for batch in batches for row in batch.columns.to_pylist()), key=lambda row: row["user"])


def rows_of(table):
    return [{"user": row["user"], "item": row["item"], "place.city": (row["place"] or {}).get("city")}
            for row in table.to_pylist()]


def source_of(lake, raw="/", **settings):
    return open_source("engagements", Source.model_validate(lake.place | settings), raw)


def test_each_snapshot_has_its_rows(lake):
    first, second = lake.append(ROWS), lake.append(MORE)
    third = lake.delete(2)
    without = ROWS.filter(pc.not_equal(ROWS["user"], 2))
    assert read(source_of(lake, snapshot=first)) == rows_of(ROWS)
    assert read(source_of(lake, snapshot=second)) == rows_of(pa.concat_tables([ROWS, MORE]))
    assert read(source_of(lake, snapshot=third)) == read(source_of(lake)) == rows_of(pa.concat_tables([without, MORE]))
    assert [source_of(lake, snapshot=number).num_rows() for number in (first, second, third)] == [4, 5, 4]
    assert source_of(lake).snapshot().number == third


def test_columns_and_their_types(lake):
    lake.append(ROWS)
    [(name, types)] = source_of(lake).column_types()
    assert name == lake.place["path"]
    assert {column: str(dtype).removeprefix("large_") for column, dtype in types.items() if column != "place"} == {
        "user": "int64", "item": "string", "stars": "double", "place.city": "string"}
    assert [column.type for column in next(source_of(lake).read_all(["stars", "user"])).columns] == [
        pa.float64(), pa.int64()]


@pytest.mark.parametrize(("where", "files", "users"), [
    ("user >= 9", 1, [9]), ("user < 3", 1, [1, 2, 3, 4]), ("stars == 2", 2, None), ("item == z", None, None),
    ("stars == high", 2, None), ("user == 9", 1, [9])])
def test_a_condition_leaves_out_files_and_no_rows_of_the_others(lake, where, files, users):
    lake.append(ROWS)
    lake.append(MORE)
    source = source_of(lake, where=where)
    parts = source.parts()
    if files is not None:
        assert len(parts) == files
    found = [row["user"] for row in read(source)]
    if users:
        assert found == users
    assert 9 in found or where == "user < 3"


def test_what_cannot_be_read_is_one_line(lake, tmp_path):
    lake.append(ROWS)
    for settings, message in (({"snapshot": 77}, "at snapshot 77 cannot be read"),
                              ({"path": f"{lake.place['path']}x"}, "cannot be read")):
        with pytest.raises(UserError, match=message) as refused:
            source_of(lake, **settings).snapshot()
        assert "\n" not in str(refused.value)
        assert "correct its path, catalog or snapshot" in str(refused.value)


def test_a_dataset_is_that_of_parquet_files_and_records_the_snapshot(lake, planted_logs, tmp_path, capsys):
    """The recorded snapshot reads the same rows after another writer has appended some."""
    tree = planted_config()
    engagements = pq.read_table(planted_logs / "engagements.parquet")
    number = type(lake)(tmp_path, "engagements").append(engagements)
    place = type(lake)(tmp_path, "engagements").place
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("impressions", "items", "users"):
        (raw / f"{name}.parquet").symlink_to(planted_logs / f"{name}.parquet")

    def build(folder, logs, **settings):
        sources = tree["dataset"].get("sources", {}) | ({"engagements": place | settings} if logs == raw else {})
        path = tmp_path / "config.json"
        path.write_text(json.dumps(tree | {"dataset": tree["dataset"] | {"sources": sources}}))
        build_vocabulary([f"--config={path}", f"--raw={logs}", f"--output={tmp_path / folder}"])
        return json.loads((tmp_path / folder / "dataset_info.json").read_text())

    expected, found = build("parquet", planted_logs), build("lake", raw)
    assert f"table engagements: snapshot {number} of 20" in capsys.readouterr().out
    assert found["files"] == expected["files"]
    recorded = found["config"]["dataset"]["sources"]["engagements"]
    assert recorded["snapshot"] == number
    Config.model_validate(found["config"])
    type(lake)(tmp_path, "engagements").append(engagements.slice(0, 1000))
    assert build("again", raw, snapshot=recorded["snapshot"])["files"] == expected["files"]
    assert build("newer", raw)["config"]["dataset"]["sources"]["engagements"]["snapshot"] != number
    capsys.readouterr()
    build("again", raw, snapshot=recorded["snapshot"])
    assert "kept: it is the finished output of the same command" in capsys.readouterr().out


def test_a_template_needs_a_snapshot(lake, planted_logs, tmp_path):
    lake.append(ROWS)
    tree = planted_config()
    tree["dataset"]["sources"] = {"engagements": lake.place}
    (tmp_path / "config.json").write_text(json.dumps(tree))
    with pytest.raises(UserError, match=r"set dataset.sources.engagements.snapshot"):
        build_vocabulary([f"--config={tmp_path / 'config.json'}", f"--raw={planted_logs}",
                          f"--output={tmp_path / 'out'}", "--template_location=gs://bucket/t"])
