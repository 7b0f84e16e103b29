"""The warning before a job whose rows would not fit into the memory."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.launching import memory_check
from beam_pipelines.launching.memory_check import num_rows, warn_of_memory
from tfrs_pretrain.config import Config

MIB = 1 << 20
# 300 MiB, 2,000,000 engagements of 220 bytes, 500,000 impressions of 400.
NEEDED = 300 * MIB + 2_000_000 * 220 + 500_000 * 400


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    (folder / "engagements").mkdir()
    for name, rows in (("engagements/a", 1_500_000), ("engagements/b", 500_000), ("impressions", 500_000)):
        pq.write_table(pa.table({"x": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["x"])}),
                       folder / f"{name}.parquet")
    return folder


def _job(raw, **sources):
    tree = planted_config()
    tree["dataset"]["sources"] = {"engagements": "engagements"} | sources
    return Job(Config.model_validate(tree), str(raw), "out")


def _warning(job, capsys, monkeypatch, available, *options):
    monkeypatch.setattr(memory_check, "memory_bytes", lambda: available)
    warn_of_memory(job, [(job.engagements,), (job.engagements, job.impressions)], pipeline_options(list(options)))
    return capsys.readouterr().err


def test_a_job_above_the_memory_says_so_and_names_the_way_out(raw, capsys, monkeypatch):
    assert _warning(_job(raw), capsys, monkeypatch, NEEDED) == ""
    assert _warning(_job(raw), capsys, monkeypatch, None) == ""
    assert _warning(_job(raw), capsys, monkeypatch, NEEDED - 1) == (
        "! this job needs up to 1.0 GB for 2,000,000 engagements and 500,000 impressions, and this machine has 1.0 GB: "
        "the default runner keeps all rows of the windows in memory between two steps. Use another runner, such as "
        "--runner=FlinkRunner or --runner=DataflowRunner, or shorter windows\n")
    assert _warning(_job(raw), capsys, monkeypatch, 1, "--runner=DirectRunner") == ""


def test_rows_are_counted_where_files_store_their_number(raw, tmp_path):
    assert num_rows(_job(raw), "engagements") == 2_000_000
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    (tmp_path / "bad.parquet").write_text("no parquet")
    job = _job(tmp_path, engagements={"path": "log.csv"}, impressions="bad.parquet")
    assert (num_rows(job, "engagements"), num_rows(job, "impressions")) == (0, 0)
