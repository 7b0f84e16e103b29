"""Which Arrow types each column of a log may have."""

import dataclasses
import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.launching.input_checks import check_columns, check_ids, check_inputs, check_time_types, log_types
from tfrs_pretrain.config import Config, Window
from tfrs_pretrain.errors import UserError

INTEGERS = {pa.int8(), pa.uint32(), pa.int64(), pa.uint64()}
DECIMALS, DIGITS = {pa.decimal128(20, 2)}, {pa.decimal128(20, 0)}
TIMES = {pa.date32(), pa.timestamp("s"), pa.timestamp("us", "UTC")}
TEXTS = {pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())}
FLOATS = {pa.float32(), pa.float64()}
OTHERS = {pa.bool_(), pa.binary(), pa.list_(pa.int64()), pa.time32("s")}
NUMBERS = INTEGERS | FLOATS | DECIMALS | DIGITS
ALL = NUMBERS | TIMES | TEXTS | OTHERS


def _job(tmp_path="raw", **schema) -> Job:
    tree = planted_config()
    tree["schema"] |= schema
    if "relation" in schema:
        tree["dataset"]["relations"] = {"a": 1.0}
    return Job(Config.model_validate(tree), str(tmp_path), "out")


@pytest.mark.parametrize(("column", "accepted"), [
    ("member", NUMBERS), ("item", TEXTS | INTEGERS | DIGITS), ("ts", NUMBERS | TIMES | TEXTS), ("day", NUMBERS),
    ("clicked", NUMBERS | {pa.bool_()}), ("surface", TEXTS | INTEGERS | DIGITS), ("dwell", NUMBERS | {pa.bool_()}),
    ("page", INTEGERS | DIGITS | TIMES | TEXTS)])
def test_types_of_impressions(column, accepted):
    expected = log_types(_job(request="page").impressions)
    assert {dtype for dtype in ALL if expected[column].accepts(dtype)} == accepted


def test_types_of_relations_and_of_windows_of_dates():
    log = _job(relation="kind").engagements
    assert {dtype for dtype in ALL if log_types(log)["kind"].accepts(dtype)} == INTEGERS | DIGITS | TEXTS
    dates = {"pretrain": Window(start=datetime.date(2024, 1, 1), end=datetime.date(2024, 1, 2))}
    types = log_types(dataclasses.replace(log, windows=dates))
    assert {dtype for dtype in ALL if types["day"].accepts(dtype)} == TIMES | TEXTS
    assert "day" not in log_types(dataclasses.replace(log, windows={}))


def test_a_request_that_is_another_column_keeps_its_type():
    assert log_types(_job(request="member").impressions)["member"].description == "integer"


@pytest.fixture
def tables(tmp_path):
    """Writes one-row tables; ``changes`` replace columns, None removes them."""
    rows = {"engagements": {"member": [1], "item": ["a"], "ts": [datetime.datetime(2024, 1, 1)], "day": [1]},
            "items": {"item": ["a"], "topic_id": [1], "quality": [0.5]}, "users": {"member": [1], "country": ["x"]}}
    rows["impressions"] = rows["engagements"] | {"clicked": [1], "surface": ["s"], "dwell": [1.0]}

    def write(**changes) -> None:
        for name, columns in rows.items():
            table = {column: values for column, values in (columns | changes.get(name, {})).items() if values}
            pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")

    return write


def test_sound_tables_pass(tables, tmp_path):
    tables()
    job = _job(tmp_path, history={"length": 2})
    check_inputs(job, [job.engagements, job.impressions, job.history])


@pytest.mark.parametrize(("changes", "message"), [
    ({"impressions": {"dwell": None}}, r"table impressions: '.*' has no column 'dwell' \(expected number\); it has \["),
    ({"engagements": {"member": ["x"]}}, r"table engagements: column 'member' of '.*' is string, expected integer\. C"),
    ({"items": {"quality": ["x"]}}, "table items: column 'quality' of '.*' is string, expected number"),
    ({"users": {"member": [1, 1], "country": ["x", "y"]}}, r"id 1 in column 'member' occurs 2 times \(1 ids repeat\)")])
def test_the_first_wrong_column_is_named(changes, message, tables, tmp_path):
    tables(**changes)
    job = _job(tmp_path)
    with pytest.raises(UserError, match=message):
        check_inputs(job, [job.engagements, job.impressions])


def test_side_tables_are_checked_for_impressions_only(tables, tmp_path):
    tables(items={"quality": ["x"]})
    job = _job(tmp_path)
    check_inputs(job, [job.engagements])


def test_a_history_needs_times_of_one_type(tables, tmp_path):
    tables(engagements={"ts": [5]})
    job = _job(tmp_path, history={"length": 2})
    check_inputs(job, [job.engagements, job.impressions])
    for check in (lambda: check_time_types(job), lambda: check_inputs(job, [job.impressions, job.history])):
        with pytest.raises(UserError, match=r"\['integer'\] in engagements, \['timestamp'\] in impressions: "):
            check()
    tree = job.config.resolved()
    tree["dataset"]["sources"]["engagements"] = {"path": "engagements.parquet", "time_unit": "s"}
    check_time_types(dataclasses.replace(job, config=Config.model_validate(tree)))


def test_formats_without_types_are_checked_for_names_only(tmp_path):
    (tmp_path / "t.csv").write_text("member,item,day,clicked,surface,dwell\n")
    tree = planted_config()
    tree["dataset"]["sources"] = {"impressions": "t.csv", "engagements": "t.jsonl"}
    (tmp_path / "t.jsonl").write_text("{}\n")
    job = Job(Config.model_validate(tree), str(tmp_path), "out")
    check_columns(job, "engagements", log_types(job.engagements), job.engagements.readers)
    with pytest.raises(UserError, match="has no column 'ts'"):
        check_columns(job, "impressions", log_types(job.impressions), job.impressions.readers)


def test_ids_that_occur_once_pass(tables, tmp_path):
    tables(items={"item": ["a", "b"], "topic_id": [1, 1], "quality": [1.0, 1.0]})
    check_ids(_job(tmp_path), "items", _job().schema.item)


@pytest.mark.parametrize("ids", [["a", None], ["a", ""]])
def test_a_side_table_needs_an_id_in_each_row(ids, tables, tmp_path):
    tables(items={"item": ids, "topic_id": [1, 1], "quality": [1.0, 1.0]})
    job = _job(tmp_path)
    with pytest.raises(UserError, match="table items: 1 of 2 rows have no id in column 'item'"):
        check_inputs(job, [job.engagements, job.impressions])


FEATURES = {
    "text": {"name": "code", "source": "impressions", "column": "dwell", "kind": "categorical", "dtype": "string"},
    "number": {"name": "seconds", "source": "impressions", "column": "dwell", "kind": "numeric", "dtype": "float32"},
    "integer": {"name": "bin", "source": "impressions", "column": "dwell", "kind": "categorical", "dtype": "int64"},
    "list": {"name": "parts", "source": "impressions", "column": "dwell", "kind": "multi_valued", "dtype": "string",
             "max_values": 2, "separator": "|"}}


def _csv_job(tmp_path, features: list[str], source: str = "impressions", **schema) -> Job:
    tree = planted_config()
    tree["schema"] |= {"features": [FEATURES[name] | {"source": source} for name in features]} | schema
    tree["dataset"]["sources"] = {"impressions": "impressions.csv", "items": "items.csv"}
    (tmp_path / "impressions.csv").write_text("member,item,ts,day,clicked,dwell\n1,a,2024-01-01,21,1,05\n")
    (tmp_path / "items.csv").write_text("item,dwell\na,05\n")
    return Job(Config.model_validate(tree), str(tmp_path), "out")


@pytest.mark.parametrize(("features", "source", "schema"), [
    (["text", "number"], "impressions", {}), (["number", "text"], "impressions", {}),
    (["integer", "text"], "impressions", {}), (["list", "text"], "impressions", {}), (["text", "number"], "items", {}),
    (["text"], "impressions", {"time": "dwell"}), (["text"], "impressions", {"label": "dwell"}),
    (["list"], "items", {"item": {"column": "dwell", "dtype": "string"}})])
def test_texts_of_one_column_are_not_parsed_as_two_types(features, source, schema, tables, tmp_path):
    tables()
    job = _csv_job(tmp_path, features, source, **schema)
    with pytest.raises(UserError, match=r"column 'dwell' of '.*\.csv' contains texts, which are parsed only once, but "
                                        r".* reads it as .*, .* reads it as "):
        check_inputs(job, [job.impressions])


def test_one_parse_serves_integers_numbers_and_labels(tables, tmp_path):
    tables()
    job = _csv_job(tmp_path, ["integer", "number"])
    check_inputs(job, [job.impressions])
    assert job.impressions.value_types["dwell"] == "int64"
    job = _csv_job(tmp_path, ["number", "integer"], label="dwell")
    check_inputs(job, [job.impressions])
    assert job.impressions.value_types["dwell"] == "label"


def test_a_typed_column_must_have_a_type_that_all_its_readers_accept(tables, tmp_path):
    tables(impressions={"dwell": ["05"]})
    job = _job(tmp_path, features=[FEATURES["number"], FEATURES["text"]])
    with pytest.raises(UserError, match=r"column 'dwell' of '.*' is string, expected number, and also string"):
        check_inputs(job, [job.impressions])
