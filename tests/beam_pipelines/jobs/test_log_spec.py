"""The columns and value types of each log, from literal configurations."""

import dataclasses
import datetime

import pytest
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.log_spec import LogSpec
from tfrs_pretrain.config import Config, Window

RELATIONS = {"hide": 0.0, "save": 3.0}
FEATURES = [{"name": "codes", "source": "impressions", "kind": "multi_valued", "dtype": "int64", "max_values": 2,
             "separator": "|"},
            {"name": "tags", "source": "impressions", "column": "t", "kind": "multi_valued", "dtype": "string",
             "max_values": 2}]


def _job(schema: dict | None = None, dataset: dict | None = None, **job) -> Job:
    tree = planted_config()
    tree["schema"] |= schema or {}
    tree["dataset"] |= dataset or {}
    return Job(Config.model_validate(tree), "raw", "out", **job)


def test_engagements_have_the_pretraining_window_and_neither_labels_nor_features():
    log = _job().engagements
    assert (log.name, log.table, log.windows) == ("engagements", "engagements", {"pretrain": Window(start=0, end=20)})
    assert log.value_types == {"ts": "timestamp", "day": "int64", "member": "int64", "item": "string"}
    assert not log.reject_duplicates


def test_impressions_have_labels_and_context_features():
    log = _job({"labels": ["liked"], "request": "page"}).impressions
    assert list(log.windows) == ["train", "validation", "test"]
    assert log.labels == {"label": "clicked", "liked": "liked"}
    assert log.value_types == {
        "page": "string", "surface": "string", "dwell": "float32", "clicked": "label", "liked": "label",
        "ts": "timestamp", "day": "int64", "member": "int64", "item": "string"}
    assert log.columns == list(log.value_types)


def test_lists_name_their_separator():
    types = _job({"features": FEATURES}).impressions.value_types
    assert (types["codes"], types["t"]) == ("int64[|]", "string[]")


def test_relations_add_a_column_to_the_engagements_only():
    job = _job({"relation": "surface"}, {"relations": RELATIONS})
    assert job.engagements.value_types["surface"] == "string"
    assert job.engagements.relations == RELATIONS
    assert job.impressions.relations == {}


def test_an_id_column_keeps_its_type_whatever_else_it_is():
    log = dataclasses.replace(_job().impressions, request="member")
    assert log.value_types["member"] == "int64"


def test_the_history_is_the_engagements_of_any_time():
    job = _job({"history": {"length": 3}, "relation": "surface"}, {"relations": RELATIONS})
    assert job.history == dataclasses.replace(job.engagements, name="history", windows={})
    assert "day" not in job.history.value_types
    assert job.impression_logs == (job.impressions, job.history)
    assert _job().impression_logs == (_job().impressions,)


@pytest.mark.parametrize(("window", "value_type"), [
    (Window(start=1, end=2), "int64"),
    (Window(start=datetime.date(2024, 1, 1), end=datetime.date(2024, 1, 2)), "timestamp")])
def test_windows_of_dates_need_a_column_of_times(window, value_type):
    log = LogSpec("x", "x", _job().schema, {"train": window})
    assert log.has_date_windows == (value_type == "timestamp")
    assert log.value_types["day"] == value_type


def test_a_time_column_may_be_of_integers():
    sources = {"engagements": {"path": "e.csv", "format": "csv", "time": "integer"}}
    job = _job(dataset={"sources": sources})
    assert job.engagements.value_types["ts"] == "int64"
    assert job.impressions.value_types["ts"] == "timestamp"


@pytest.mark.parametrize("table", ["engagements", "impressions"])
def test_duplicates_are_rejected_in_the_configured_log(table):
    job = _job(dataset={"duplicates": {table: "reject"}})
    assert job.engagements.reject_duplicates == (table == "engagements")
    assert job.impressions.reject_duplicates == (table == "impressions")


@pytest.mark.parametrize(("splits", "rates"), [(("train", "test"), {"train": 0.25}), (("test",), {})])
def test_only_the_training_window_is_downsampled(splits, rates):
    log = _job(dataset={"negative_sampling": {"rate": 0.25}}, splits=splits).impressions
    assert (tuple(log.windows), log.negative_rates) == (splits, rates)
