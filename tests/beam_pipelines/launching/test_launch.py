"""The order of checks, pipelines and manifest, with pipelines that write literal results."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import apache_beam as beam
import pytest
from planted import planted_config

from beam_pipelines.jobs.job import RUN_FILE, Job
from beam_pipelines.jobs.options import VocabularyOptions
from beam_pipelines.jobs.runner import pipeline_options
from beam_pipelines.launching import launch
from beam_pipelines.launching.launch import Step, main, run_steps
from beam_pipelines.records.files import WriteJson
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError

COLUMNS = ["day", "item", "member", "ts"]
ACCOUNT = {"present": COLUMNS, "read": 4, "kept": {"pretrain": 3}, "rejected": {"bad": 1}, "filtered": {}, "low": 0,
           "high": 9, "times": {"integer": 4}, "first": 0, "last": 9, "windows": {"integer": 4}}


@pytest.fixture
def job(tmp_path, monkeypatch) -> Job:
    monkeypatch.setattr(launch, "check_inputs", lambda job, logs: None)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "engagements.parquet").write_bytes(b"rows")
    tree = planted_config()
    tree["dataset"]["max_rejected_share"] = 0.25
    return Job(Config.model_validate(tree), str(tmp_path / "raw"), str(tmp_path / "out"))


def _step(job: Job, calls: list, title: str = "first", **account) -> Step:
    def build(pipeline: beam.Pipeline, job: Job) -> None:
        calls.append(title)
        _ = pipeline | beam.Create([ACCOUNT | account]) | WriteJson(job.path(".results", "account-engagements.json"))

    return Step(title, build, (job.engagements,))


def _describe(calls: list):
    def describe(job: Job) -> dict:
        calls.append("describe")
        return {"answer": 42}
    return describe


def _run(job: Job, steps: list[Step], calls: list, *options: str, overwrite: bool = False):
    return run_steps(job, "pairs", steps, _describe(calls), pipeline_options(list(options)), overwrite=overwrite)


def _files(job: Job) -> list[str]:
    return sorted(path.name for path in Path(job.folder).rglob("*") if path.is_file() and path.name != RUN_FILE)


def test_pipelines_run_in_order_and_the_manifest_is_last(job):
    calls: list[str] = []
    result, info = _run(job, [_step(job, calls), _step(job, calls, "second")], calls)
    assert (calls, result.state, info["answer"]) == (["first", "second", "describe"], "DONE", 42)
    assert _files(job) == ["dataset_info.json"]
    manifest = json.loads((Path(job.folder) / "dataset_info.json").read_text())
    assert (manifest["kind"], manifest["answer"]) == ("pairs", 42)


@pytest.mark.parametrize(("account", "message"), [
    ({"rejected": {"bad": 2}}, r"2 of 4 rows were rejected \(bad: 2\), more than dataset\.max_rejected_share = 0\.25"),
    ({"present": COLUMNS[1:]}, r"table engagements: no row of .* has a column 'day', expected 'ts'"),
    ({"kept": {}}, "window pretrain .* has no usable row")])
def test_a_failed_check_stops_before_the_next_pipeline(account, message, job):
    calls: list[str] = []
    with pytest.raises(UserError, match=message):
        _run(job, [_step(job, calls, **account), _step(job, calls, "second")], calls)
    assert calls == ["first"]
    assert not Path(job.folder).exists()


@pytest.mark.parametrize("change", [
    lambda job: os.utime(Path(job.raw, "engagements.parquet"), (5, 5)),
    lambda job: Path(job.raw, "engagements.parquet").write_bytes(b"more rows"),
    lambda job: Path(job.folder, ".run.json").unlink(),
    lambda job: Path(job.folder, ".run.json").write_text("{"),
    lambda job: dataclasses.replace(job, splits=("test",)),
    lambda job: dataclasses.replace(job, config=job.config.model_copy(update={"seed": 9}))])
def test_the_finished_folder_of_another_job_needs_overwrite(change, job):
    _run(job, [_step(job, [])], [])
    changed = change(job)
    job = changed if isinstance(changed, Job) else job
    calls: list[str] = []
    with pytest.raises(UserError, match="has a finished dataset"):
        _run(job, [_step(job, calls)], calls)
    assert calls == []
    _run(job, [_step(job, calls)], calls, overwrite=True)
    assert calls == ["first", "describe"]


def test_the_finished_folder_of_the_same_job_is_kept(job, tmp_path, capsys):
    _, info = _run(job, [_step(job, [])], [])
    (tmp_path / ".out.unfinished-0").mkdir()
    Path(job.folder, "unfinished").touch()  # as on an object store, where the marker is deleted last
    calls: list[str] = []
    result, again = _run(job, [_step(job, calls)], calls)
    assert (calls, result.state, again["answer"]) == ([], "DONE", info["answer"])
    assert _files(job) == ["dataset_info.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "raw"]
    assert "kept: it is the finished output of the same command" in "".join(capsys.readouterr().out.split("\n"))


def test_a_table_without_files_is_never_the_same(job, monkeypatch):
    """Its rows may have changed."""
    monkeypatch.setattr("beam_pipelines.sources.file_source.FileSource.file_states", lambda _: iter(()))
    _run(job, [_step(job, [])], [])
    with pytest.raises(UserError, match="has a finished dataset"):
        _run(job, [_step(job, [])], [])


def test_the_old_dataset_stays_until_the_job_has_succeeded(job, tmp_path):
    _run(job, [_step(job, [])], [])
    before = Path(job.folder, "dataset_info.json").read_bytes()

    def fail(pipeline: beam.Pipeline, job: Job) -> None:
        assert (tmp_path / "out" / "dataset_info.json").read_bytes() == before
        rejected = Path(job.folder, "rejected", "engagements-00000.parquet")
        rejected.parent.mkdir(parents=True)
        rejected.touch()
        _step(job, [], rejected={"bad": 2}).build(pipeline, job)

    with pytest.raises(UserError, match=r"out\.rejected/engagements-\*\.parquet$"):
        _run(job, [Step("first", fail, (job.engagements,))], [], overwrite=True)
    assert (tmp_path / "out" / "dataset_info.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.rejected", "raw"]
    assert [path.name for path in (tmp_path / "out.rejected").iterdir()] == ["engagements-00000.parquet"]


def test_inputs_inside_the_output_are_refused_before_anything_is_deleted(job, tmp_path):
    inside = Job(job.config, str(tmp_path / "out" / "raw"), job.folder)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    with pytest.raises(UserError, match="which this job reads"):
        _run(inside, [_step(inside, [])], [], overwrite=True)
    assert _files(job) == ["precious"]


def test_a_dry_run_translates_every_pipeline_and_writes_nothing(job, monkeypatch):
    calls: list[str] = []
    monkeypatch.setattr(launch, "run_pipeline", lambda build, options: calls.append("translated") or len(calls))
    steps = [_step(job, calls), _step(job, calls, "second")]
    assert _run(job, steps, calls, "--dry_run=True") == (2, {})
    assert not Path(job.folder).exists()


def test_a_template_is_finished_by_a_later_call(job):
    calls: list[str] = []
    result, info = _run(job, [_step(job, calls)], calls, "--template_location=gs://b/t")
    result.wait_until_finish()
    assert (calls, info) == (["first"], {})
    assert _files(job) == ["account-engagements.json", "unfinished"]
    result, info = _run(job, [_step(job, calls)], calls, "--finish")
    assert (calls, result.state, info["answer"]) == (["first", "describe"], "DONE", 42)
    assert _files(job) == ["dataset_info.json"]


def test_results_are_checked_before_a_template_is_finished(job):
    calls: list[str] = []
    _run(job, [_step(job, calls, kept={})], calls, "--template_location=gs://b/t")[0].wait_until_finish()
    with pytest.raises(UserError, match="has no usable row"):
        _run(job, [_step(job, calls)], calls, "--finish")
    assert _files(job) == ["account-engagements.json", "unfinished"]


def test_a_template_has_one_pipeline(job):
    with pytest.raises(UserError, match="a template contains one pipeline"):
        _run(job, [_step(job, []), _step(job, [])], [], "--template_location=gs://b/t")


def test_vocabularies_are_checked_before_the_first_pipeline(job, tmp_path):
    calls: list[str] = []
    other = Job(job.config, job.raw, job.folder, vocabulary=str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"has no readable dataset_info\.json"):
        _run(other, [_step(other, calls)], calls)
    assert calls == []


@pytest.mark.parametrize(("argv", "code", "output", "errors"), [
    (["--help"], 0, "--vocabulary FOLDER", ""), ([], 2, "", "error: --vocabulary is missing: run the job")])
def test_the_entry_point_returns_an_exit_code(argv, code, output, errors, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["build_pairs", *argv])
    assert main("beam_pipelines.build_pairs", VocabularyOptions) == code
    captured = capsys.readouterr()
    assert output in captured.out
    assert captured.err.startswith(errors)
    assert captured.err.count("\n") == bool(errors)


@pytest.mark.parametrize(("change", "message"), [
    (lambda raw: (raw / "engagements.parquet").write_bytes(b"more rows"), r"engagements\.parquet' changed while"),
    (lambda raw: os.utime(raw / "engagements.parquet", (5, 5)), r"engagements\.parquet' changed while"),
    (lambda raw: shutil.copytree(raw, raw / "engagements.parquet.d"), None)])
def test_a_file_that_changes_between_two_pipelines_is_named(change, message, job):
    calls: list[str] = []
    first = _step(job, calls)

    def build_and_change(pipeline: beam.Pipeline, job: Job) -> None:
        first.build(pipeline, job)
        change(Path(job.raw))

    steps = [Step("first", build_and_change, first.logs), _step(job, calls, "second")]
    if message is None:
        _run(job, steps, calls)
        assert calls == ["first", "second", "describe"]
        return
    with pytest.raises(UserError, match=message):
        _run(job, steps, calls)
    assert calls == ["first"]
