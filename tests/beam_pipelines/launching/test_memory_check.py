"""The comparison of a job's estimated memory and temporary files with the machine, before it starts."""

import collections

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.launching import memory_check
from beam_pipelines.launching.memory_check import check_resources, num_rows
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError

MIB = 1 << 20
# 2,000,000 engagements of 220 bytes, 500,000 impressions of 400.
ALL_ROWS = 300 * MIB + 2_000_000 * 220 + 500_000 * 400
DISK = 2_000_000 * 75 + 500_000 * 250 - 10**6  # with --spill_mb=1
MANY = 10**15
NO_FILES = "--direct_num_workers=2"  # these workers do not use temporary files
Usage = collections.namedtuple("Usage", "free")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    (folder / "engagements").mkdir()
    for name, rows in (("engagements/a", 1_500_000), ("engagements/b", 500_000), ("impressions", 500_000)):
        pq.write_table(pa.table({"x": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["x"])}),
                       folder / f"{name}.parquet")
    return folder


def _job(raw, shards=None, **sources):
    tree = planted_config()
    tree["dataset"] |= {"sources": {"engagements": "engagements"} | sources, "shards": shards}
    return Job(Config.model_validate(tree), str(raw), "out")


@pytest.fixture
def warning(capsys, monkeypatch):
    """Returns what is printed on a machine with some memory and free disk space."""
    def checked(job, *options, memory=MANY, disk=MANY):
        monkeypatch.setattr(memory_check, "memory_bytes", lambda: memory)
        monkeypatch.setattr(memory_check.shutil, "disk_usage", lambda folder: Usage(disk))
        check_resources(job, [(job.engagements,), (job.engagements, job.impressions)], pipeline_options(list(options)))
        return capsys.readouterr().err

    return checked


def test_without_temporary_files_the_rows_must_fit(raw, warning):
    assert warning(_job(raw), NO_FILES, memory=ALL_ROWS, disk=0) == ""
    assert warning(_job(raw), NO_FILES, memory=None) == ""
    assert warning(_job(raw), NO_FILES, memory=ALL_ROWS - 1) == (
        "! this job needs up to 1.0 GB for 2,000,000 engagements and 500,000 impressions, and this machine has 1.0 GB: "
        "with these options the default runner keeps all rows of the windows in memory between two steps. Leave out "
        "--direct_running_mode, so that it uses temporary files, or use another runner, such as --runner=FlinkRunner "
        "or --runner=DataflowRunner\n")


def test_with_temporary_files_the_limit_must_fit_and_no_more_than_the_rows(raw, warning):
    assert warning(_job(raw), memory=ALL_ROWS) == ""
    assert "needs up to 1.0 GB of memory" in warning(_job(raw), "--spill_mb=1", memory=ALL_ROWS - 1)


def test_a_shard_must_fit_in_addition(raw, warning, monkeypatch):
    monkeypatch.setattr(memory_check, "num_rows", lambda job, table: 10**9)
    assert warning(_job(raw), memory=1_512_000_000 + 2**30) == ""
    assert "needs up to 2.6 GB" in warning(_job(raw), memory=1_511_999_999 + 2**30)
    text = warning(_job(raw, shards=100), "--spill_mb=1", memory=5_001_999_999)
    assert "needs up to 5.0 GB of memory for 1,000,000,000 engagements and 1,000,000,000 impressions" in text
    assert "lower --spill_mb, raise dataset.shards if it is set" in text
    assert warning(_job(raw, shards=100), "--spill_mb=1", memory=5_002_000_000) == ""


def test_temporary_files_that_may_not_fit_are_announced_and_others_refused(raw, warning):
    assert warning(_job(raw), "--spill_mb=1", disk=DISK) == ""
    text = warning(_job(raw), "--spill_mb=1", "--spill_folder=/absent/folder", disk=DISK - 1)
    assert text.startswith("! this job needs about 0.3 GB of temporary files for 2,000,000 engagements and 500,000 "
                           "impressions, and the disk of '/absent/folder' has 0.3 GB: name a folder on a larger disk "
                           "with --spill_folder")
    with pytest.raises(UserError, match=r"^this job needs about 0\.3 GB of temporary files .* 'out' has 0\.1 GB"):
        warning(_job(raw), "--spill_mb=1", disk=DISK // 2 - 1)


def test_rows_that_stay_in_memory_need_no_disk(raw, warning):
    assert warning(_job(raw), "--spill_mb=275", disk=0) == ""
    assert "about 0.0 GB of temporary files" in warning(_job(raw), "--spill_mb=273", disk=1_999_999)


def test_other_runners_are_not_checked(raw, warning):
    assert warning(_job(raw), "--runner=DirectRunner", memory=1, disk=1) == ""


def test_rows_are_counted_where_files_store_their_number(raw, tmp_path):
    assert num_rows(_job(raw), "engagements") == 2_000_000
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    (tmp_path / "bad.parquet").write_text("no parquet")
    job = _job(tmp_path, engagements={"path": "log.csv"}, impressions="bad.parquet")
    assert (num_rows(job, "engagements"), num_rows(job, "impressions")) == (0, 0)
