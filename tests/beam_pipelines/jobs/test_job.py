"""Paths and inputs of a job."""

import pytest
from planted import planted_config

from beam_pipelines.jobs.job import Job
from tfrs_pretrain.config import Config

SOURCES = {"engagements": {"format": "bigquery", "path": "p:d.t"}, "impressions": "gs://logs/*.csv",
           "items": "/absolute/items.avro", "users": "users.jsonl"}


@pytest.fixture
def config() -> Config:
    tree = planted_config()
    tree["dataset"]["sources"] = SOURCES
    return Config.model_validate(tree)


def test_inputs_are_the_tables_and_the_vocabulary_folders(config):
    tables = ["bigquery:p:d.t", "gs://logs/*.csv", "/absolute/items.avro", "raw/users.jsonl"]
    assert Job(config, "raw", "out").inputs == tables
    assert Job(config, "raw", "out", vocabulary="v").inputs == [*tables, "v"]
    assert Job(config, "raw", "out", extend="e").inputs == [*tables, "e"]


def test_paths_are_inside_the_output_folder(config):
    assert Job(config, "raw", "gs://bucket/out").path("a", "b.json") == "gs://bucket/out/a/b.json"


def test_features_are_selected_by_table(config):
    job = Job(config, "raw", "out")
    assert {table: [feature.name for feature in job.features(table)] for table in ("impressions", "items", "users")
            } == {"impressions": ["surface", "dwell"], "items": ["topic", "quality"], "users": ["country"]}
