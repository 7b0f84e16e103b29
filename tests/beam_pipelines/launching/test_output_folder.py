"""The output folder: what is protected, what is cleaned, what decides that it is finished."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from beam_pipelines.launching.output_folder import (
    finish_folder,
    list_files,
    output_folder,
    refuse_existing,
    refuse_overwriting_inputs,
    require_unfinished,
)
from tfrs_pretrain.errors import UserError


@pytest.fixture(params=["out", "out[1]"])
def folder(tmp_path, request) -> Path:
    return tmp_path / request.param


def _write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def test_files_are_listed_relative_and_sorted(folder):
    assert list_files(str(folder)) == []
    _write(folder, "b", "a/x/y", "a/b")
    (folder / "empty").mkdir()
    assert list_files(str(folder)) == list_files(f"{folder}/") == ["a/b", "a/x/y", "b"]


@pytest.mark.parametrize(("files", "accepted"), [
    ([], True), (["unfinished", "pairs/x"], True), (["pairs/x"], False), (["dataset_info.json"], False),
    (["unfinished", "dataset_info.json"], False)])
def test_only_remains_of_an_unfinished_job_are_replaced_without_overwrite(files, accepted, folder):
    _write(folder, *files)
    refuse_existing(str(folder), overwrite=True)
    if accepted:
        refuse_existing(str(folder), overwrite=False)
        return
    problem = "has a finished dataset" if "dataset_info.json" in files else "is not empty"
    with pytest.raises(UserError, match=f"'{re.escape(str(folder))}' {problem}: pass --overwrite"):
        refuse_existing(str(folder), overwrite=False)


def test_a_file_is_no_output_folder(folder):
    _write(folder.parent, folder.name)
    with pytest.raises(UserError, match="is a file: name a folder"):
        refuse_existing(str(folder), overwrite=True)


def test_a_finished_folder_has_the_manifest_and_neither_marker_nor_results(folder):
    _write(folder, "old/file")
    with output_folder(str(folder), overwrite=True):
        assert list_files(str(folder)) == ["unfinished"]
        assert not (folder / "old").exists()
        _write(folder, ".results/account.json", "pairs/x")
        finish_folder(str(folder), "dataset", {"a": 1})
    assert list_files(str(folder)) == ["dataset_info.json", "pairs/x"]
    assert not (folder / ".results").exists()
    info = json.loads((folder / "dataset_info.json").read_text())
    assert (info["kind"], info["a"]) == ("dataset", 1)


@pytest.mark.parametrize(("written", "left"), [
    (["pairs/x", ".results/y"], None),
    (["pairs/x", "rejected/log-00000.parquet"], ["rejected/log-00000.parquet", "unfinished"])])
def test_a_user_error_leaves_only_the_dead_letter(written, left, folder):
    with pytest.raises(UserError), output_folder(str(folder), overwrite=False):
        _write(folder, *written)
        raise UserError("too many bad rows")
    assert folder.exists() == bool(left)
    assert list_files(str(folder)) == (left or [])
    with output_folder(str(folder), overwrite=False):
        assert list_files(str(folder)) == ["unfinished"]


def test_other_errors_leave_an_unfinished_folder(folder):
    with pytest.raises(ZeroDivisionError), output_folder(str(folder), overwrite=False):
        _write(folder, "pairs/x")
        raise ZeroDivisionError
    assert list_files(str(folder)) == ["pairs/x", "unfinished"]


def test_only_an_unfinished_job_can_be_finished(folder):
    with pytest.raises(UserError, match="has no unfinished job"):
        require_unfinished(str(folder))
    _write(folder, "unfinished")
    require_unfinished(str(folder))
    _write(folder, "dataset_info.json")
    with pytest.raises(UserError, match="has no unfinished job"):
        require_unfinished(str(folder))


@pytest.mark.parametrize(("folder", "path"), [
    ("out", "out"), ("out", "out/log.parquet"), ("out/../out", "out/raw/*.csv"), ("gs://b/out", "gs://b/out/log")])
def test_inputs_inside_the_output_folder_are_protected(folder, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="which this job reads: name another folder"):
        refuse_overwriting_inputs(folder, ["elsewhere", path])


@pytest.mark.parametrize(("folder", "path"), [
    ("out", "output/log.parquet"), ("out/raw", "out"), ("out", "gs://b/out"), ("gs://b/out", "gs://b/out2/log")])
def test_other_inputs_are_accepted(folder, path):
    refuse_overwriting_inputs(folder, [path])


HOLDER = """
import sys
from beam_pipelines.launching.output_folder import output_folder
with output_folder(sys.argv[1], overwrite=True):
    print("locked", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_job_is_refused_and_leaves_the_files_of_the_first(overwrite, folder):
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "locked\n"
        _write(folder, "pairs/x", ".results/y")
        before = list_files(str(folder))
        message = re.escape(f"another job is writing to output folder '{folder}'")
        with pytest.raises(UserError, match=message), output_folder(str(folder), overwrite=overwrite):
            raise AssertionError
        assert list_files(str(folder)) == before == [".results/y", "pairs/x", "unfinished"]
        first.kill()
    with output_folder(str(folder), overwrite=False):  # the remains of a killed job
        assert list_files(str(folder)) == ["unfinished"]


@pytest.mark.parametrize("other", ["unfinished", "removed"])
def test_a_job_whose_files_another_one_has_deleted_does_not_finish(other, folder):
    """As on an object store, which has no locks."""
    with pytest.raises(UserError, match="another job has started in output folder"), output_folder(
            str(folder), overwrite=False) as claim:
        claim.check()
        _write(folder, "pairs/other")
        (folder / "unfinished").unlink()
        if other == "unfinished":
            _write(folder, "unfinished")
        claim.check()
    assert "pairs/other" in list_files(str(folder))
