"""Sources and feature kinds of installed packages: the example's build the same dataset; mistakes are one line."""

import datetime
import sqlite3

import apache_beam as beam
import numpy as np
import planted
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_packages import forget_modules, install, install_example

from beam_pipelines.build_dataset import build
from beam_pipelines.jobs.job import Job
from beam_pipelines.launching.input_checks import check_inputs
from beam_pipelines.sources import open_source
from tfrs_pretrain import own_code
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Config, Source, parse_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.run_config import stored_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.contract_check import check_own_feature
from tfrs_pretrain.features.registry import parse_feature
from tfrs_pretrain.own_code import SOURCES

NAMES = ("Right", "Columns", "NoColumns", "OtherType", "Connected", "LocalParts", "NoParts", "Rows", "Fewer",
         "RaisesLater", "Transform")
DAY = {"name": "weekday", "source": "impressions", "column": "day", "kind": "weekday"}


@pytest.fixture
def own(tmp_path, monkeypatch):
    install(tmp_path / "site", monkeypatch, {SOURCES: {
        **{name: f"own_sources:{name}" for name in NAMES}, "Path": "pathlib:Path"}})


@pytest.fixture
def example(tmp_path, monkeypatch):
    install_example(tmp_path / "site", monkeypatch)
    yield
    forget_modules()
    from tfrs_pretrain.features import registry

    registry._kinds.pop("weekday", None)


def tree_with(sources, features=()):
    tree = planted.planted_config()
    tree["schema"]["features"] = [*tree["schema"]["features"], *features]
    tree["dataset"] |= {"sources": sources}
    return tree


def write_sqlite(logs, path):
    """Writes the logs as tables of a database, times as texts."""
    with sqlite3.connect(path) as database:
        for name in ("engagements", "impressions"):
            table = pq.read_table(logs / f"{name}.parquet").to_pandas()
            table["ts"] = table["ts"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f")
            table.to_sql(name, database, index=False)


def test_the_example_reads_the_same_dataset_from_a_database(example, planted_logs, tiny_dataset, tmp_path,
                                                            monkeypatch):
    """Where only the dataset is used, the source need not be installed."""
    write_sqlite(planted_logs, tmp_path / "shop.db")
    sources = {name: {"format": "sqlite", "path": str(tmp_path / "shop.db"),
                      "settings": {"table": name, "rows_per_part": 3000}} for name in ("engagements", "impressions")}
    config = Config.model_validate(tree_with(sources, [DAY]))
    build(config, planted_logs, tmp_path / "dataset")
    for path in (*tiny_dataset.folder.glob("pairs/*"), *tiny_dataset.folder.glob("vocabulary/*")):
        assert (tmp_path / "dataset" / path.relative_to(tiny_dataset.folder)).read_bytes() == path.read_bytes(), path
    info = read_manifest(tmp_path / "dataset", "dataset", name=DATASET_INFO)
    days = pq.read_table(tmp_path / "dataset/vocabulary/weekday.parquet")["id"].to_pylist()
    assert sorted(days) == list(range(7))
    assert "own_code" not in tiny_dataset.info
    recorded = {(each["name"], each["package"], each["version"], each["settings"].get("table")): each["settings"]
                for each in info["own_code"]}
    assert recorded.keys() == {("sqlite", "own-package", "0.1", "engagements"),
                               ("sqlite", "own-package", "0.1", "impressions"), ("weekday", "own-package", "0.1", None)}
    assert recorded["weekday", "own-package", "0.1", None]["first_day"] == 3
    monkeypatch.setattr(own_code, "_installed", lambda group: ())
    stored = stored_config(Dataset.open(tmp_path / "dataset"))
    assert stored.dataset.sources.engagements == config.dataset.sources.engagements


def refusal(call):
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def job(tmp_path, kind, **source):
    tree = tree_with({"engagements": {"format": kind, "path": "shop.db", **source}})
    return Job(Config.model_validate(tree), str(tmp_path), str(tmp_path / "out"))


@pytest.mark.parametrize(("kind", "message"), [
    ("Path", "returns PosixPath, expected a TableSource or PartSource"),
    ("Columns", "describes its columns by {'member': 'int64'}, expected a tuple"),
    ("NoColumns", "cannot describe its columns (ConnectionError: no route to host)"),
    ("OtherType", "column 'member' of 'rows of engagements at "),
    ("Connected", "cannot be sent to workers (TypeError: cannot pickle"),
    ("LocalParts", "has parts that cannot be sent to workers"),
    ("NoParts", "cannot list its parts (PermissionError: denied)"),
    ("Rows", "part a cannot be read (TypeError: read_part yields list, expected pyarrow.RecordBatch)"),
    ("Fewer", "reads columns ['"),
])
def test_a_wrong_source_is_refused_before_a_pipeline_starts(own, tmp_path, kind, message):
    found = job(tmp_path, kind)
    assert message in refusal(lambda: check_inputs(found, [found.engagements]))


def test_a_right_source_receives_the_place_and_passes(own, tmp_path):
    found = job(tmp_path, "Right")
    check_inputs(found, [found.engagements])
    source = found.source("engagements")
    assert str(source) == f"rows of engagements at {tmp_path}/shop.db"
    batches = list(source.read_all(["item", "day"]))
    assert [batch.columns.to_pydict() for batch in batches] == [
        {"item": ["a 1", "a 2"], "day": [0, 1]}, {"item": ["b 1", "b 2"], "day": [0, 1]}]
    assert [(batch.path[-6:], batch.positions.tolist()) for batch in batches] == [
        ("part a", [0, 1]), ("part b", [0, 1])]


@pytest.mark.parametrize(("kind", "message"), [
    ("RaisesLater", "part b cannot be read (TimeoutError: timed out)"),
    ("Transform", "reads dict, expected a RawBatch")])
def test_a_mistake_that_only_the_pipeline_meets_is_one_line(own, tmp_path, kind, message):
    source = job(tmp_path, kind).source("engagements")
    with pytest.raises(Exception, match=r"\(|expected") as caught, beam.Pipeline() as pipeline:
        _ = pipeline | source.read(["member"], 10)
    assert message in str(caught.value)


def test_positions_must_match_the_rows(own, tmp_path):
    source = job(tmp_path, "Transform").source("engagements")
    assert "reads 1 rows with positions of shape [2], expected one for each row" in refusal(
        lambda: list(source.read_all(["member"])))


@pytest.mark.parametrize(("source", "message"), [
    ({"format": "parquett", "path": "x"}, "unknown format 'parquett': expected 'parquet', .*installed: "),
    ({"format": "parquet", "path": "x", "settings": {"a": 1}}, "settings belong to the source of an installed package"),
    ({"format": "Right", "query": "select 1"}, "query belongs to the format bigquery"),
    ({"format": "Right", "settings": {"a": {1, 2}}}, "expected texts, numbers"),
])
def test_wrong_declarations_are_refused(own, source, message):
    with pytest.raises(UserError, match=message):
        parse_config(tree_with({"engagements": source}), origin="mine")


@pytest.mark.parametrize(("settings", "message"), [
    ({}, "table: Field required"), ({"table": "a; drop"}, "table: String should match pattern"),
    ({"table": "a", "rows": 2}, "has no setting 'rows': its settings are ['table', 'rows_per_part']")])
def test_settings_of_the_example_are_checked(example, settings, message):
    source = Source(format="sqlite", path="shop.db", settings=settings)
    assert message in refusal(lambda: open_source("items", source, "raw"))


def test_a_source_that_has_the_name_of_a_format_is_refused(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, {SOURCES: {"csv": "own_sources:Right"}})
    found = Job(Config.model_validate(planted.planted_config()), str(tmp_path), str(tmp_path / "out"))
    assert "the name is taken by a built-in kind" in refusal(lambda: check_inputs(found, []))


def test_the_weekday_of_the_example_is_that_of_the_calendar(example):
    import tensorflow as tf

    feature = parse_feature(DAY)
    days = [0, 1, 6, 20_000, 20_001, None, -4]
    expected = [-1 if day is None or day < 0 else (datetime.date(1970, 1, 1) + datetime.timedelta(day)).weekday()
                for day in days]
    cleaned = feature.clean(pa.array(days))
    assert feature.counted_values(cleaned).to_pylist() == expected
    assert feature.record_values(cleaned, lambda _, values: values).to_pylist() == expected
    raw = feature.golden_values(cleaned).to_numpy(zero_copy_only=False).astype(np.int64)
    assert feature.graph_column(tf.constant(raw), lambda _, values: values).numpy().tolist() == expected
    check_own_feature(feature)


@pytest.mark.parametrize(("method", "wrong", "message"), [
    ("clean", lambda self, column: column.slice(1), "returns 2 of int64 from clean for 3 values, expected 3"),
    ("clean", lambda self, column: pa.compute.add(column.fill_null(0), 1), "changes values that clean has returned"),
    ("hash_values", lambda self, values: np.zeros(3), "returns 3 of float64 from hash_values for 3 values, expected 3 "
                                                      "of uint64"),
    ("counted_values", lambda self, values: values, "returns 3 of int64 from counted_values, expected int64 without "
                                                    "nulls"),
    ("record_values", lambda self, values, lookup: np.zeros(3), "returns 3 of float64 from record_values"),
    ("golden_values", lambda self, values: 1 / 0, "fails for missing values (ZeroDivisionError: division by zero)"),
])
def test_a_wrong_feature_kind_is_one_line(example, monkeypatch, method, wrong, message):
    feature = parse_feature(DAY)
    monkeypatch.setattr(type(feature), method, wrong)
    found = refusal(lambda: check_own_feature(feature))
    assert found.startswith("feature 'weekday': entry point 'weekday' of tfrs_pretrain.features (package own-package")
    assert message in found
