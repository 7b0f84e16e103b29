"""The output folder: what is protected, what is cleaned, what decides that it is finished."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from beam_pipelines.launching.finish_folder import finish_folder
from beam_pipelines.launching.output_folder import (
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


@pytest.mark.parametrize("in_place", [False, True])
def test_a_finished_folder_has_the_manifest_and_neither_marker_nor_results(in_place, folder):
    _write(folder, "old/file")
    with output_folder(str(folder), overwrite=True, in_place=in_place) as output:
        assert list_files(output.folder) == ["unfinished"]
        assert (folder / "old").exists() == (not in_place)
        _write(Path(output.folder), ".results/account.json", "pairs/x")
        finish_folder(output.folder, "dataset", {"a": 1})
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert list_files(str(folder)) == ["dataset_info.json", "pairs/x"]
    assert not (folder / ".results").exists()
    info = json.loads((folder / "dataset_info.json").read_text())
    assert (info["kind"], info["a"]) == ("dataset", 1)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(("written", "left"), [
    (["pairs/x", ".results/y"], None),
    (["pairs/x", "rejected/log-00000.parquet"], ["rejected/log-00000.parquet", "unfinished"])])
def test_a_user_error_leaves_only_the_dead_letter(written, left, overwrite, in_place, folder):
    for _ in range(2):  # the second time over the dead letter of the first
        with pytest.raises(UserError), output_folder(str(folder), overwrite=overwrite, in_place=in_place) as output:
            assert list_files(output.folder) == ["unfinished"]
            assert output.dead_letter == str(folder / "rejected")
            _write(Path(output.folder), *written)
            raise UserError("too many bad rows")
        assert folder.exists() == bool(left)
        assert list_files(str(folder)) == (left or [])
        assert list(folder.parent.iterdir()) == ([folder] if left else [])


def test_a_failed_replacement_leaves_the_old_folder_and_the_dead_letter_beside_it(folder):
    _write(folder, "dataset_info.json")
    for _ in range(2):
        with pytest.raises(UserError), output_folder(str(folder), overwrite=True) as output:
            _write(Path(output.folder), "pairs/x", "rejected/log-00000.parquet")
            raise UserError("too many bad rows")
        assert output.dead_letter == f"{folder}.rejected"
        assert list_files(str(folder)) == ["dataset_info.json"]
        assert list_files(f"{folder}.rejected") == ["log-00000.parquet"]
        assert len(list(folder.parent.iterdir())) == 2


def test_other_errors_leave_nothing_new_or_an_unfinished_folder(folder):
    for in_place, left in ((False, []), (True, ["pairs/x", "unfinished"])):
        with pytest.raises(ZeroDivisionError), output_folder(
                str(folder), overwrite=False, in_place=in_place) as output:
            _write(Path(output.folder), "pairs/x")
            raise ZeroDivisionError
        assert list_files(str(folder)) == left
        assert folder.exists() == bool(left)


@pytest.mark.parametrize("reason", ["parent", "mount"])
def test_a_folder_without_a_place_beside_it_is_written_in_place(reason, folder, monkeypatch):
    folder.mkdir()
    if reason == "parent":
        monkeypatch.setattr(os, "access", lambda path, mode: path != folder.parent)
    else:
        monkeypatch.setattr(Path, "is_mount", lambda path: path == folder)
    with output_folder(str(folder), overwrite=False) as output:
        assert output.folder == str(folder)


def test_what_another_program_wrote_meanwhile_is_not_replaced(folder):
    with pytest.raises(UserError, match="was written by another process meanwhile"), output_folder(
            str(folder), overwrite=False) as output:
        finish_folder(output.folder, "dataset", {})
        _write(folder, "mine.txt")
    assert list_files(str(folder)) == ["mine.txt"]


def test_a_dataset_that_a_killed_job_had_set_aside_is_restored_before_the_next_job_locks_the_folder(folder):
    aside = folder.with_name(f".{folder.name}.replaced-0")
    _write(aside, "dataset_info.json")
    with pytest.raises(UserError, match="has a finished dataset"), output_folder(str(folder), overwrite=False):
        pass
    assert list_files(str(folder)) == ["dataset_info.json"]


def test_empty_folders_are_no_content(folder):
    (folder / "empty").mkdir(parents=True)
    with output_folder(str(folder), overwrite=False) as output:
        finish_folder(output.folder, "dataset", {})
    assert [path.name for path in folder.iterdir()] == ["dataset_info.json"]


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
with output_folder(sys.argv[1], overwrite=True) as output:
    print(output.folder, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_job_is_refused_and_leaves_the_files_of_the_first(overwrite, folder):
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        written = first.stdout.readline().strip()
        _write(Path(written), "pairs/x", ".results/y")
        before = list_files(written)
        message = re.escape(f"another job is writing to output folder '{folder}'")
        with pytest.raises(UserError, match=message), output_folder(str(folder), overwrite=overwrite):
            raise AssertionError
        assert list_files(written) == before == [".results/y", "pairs/x", "unfinished"]
        first.kill()
    with output_folder(str(folder), overwrite=False) as output:  # the remains of a killed job are removed
        assert list_files(output.folder) == ["unfinished"]
        assert not Path(written).exists()


@pytest.mark.parametrize("other", ["unfinished", "removed"])
def test_a_job_whose_files_another_one_has_deleted_does_not_finish(other, folder):
    """As on an object store, which has no locks."""
    with pytest.raises(UserError, match="another job has started in output folder"), output_folder(
            str(folder), overwrite=False, in_place=True) as output:
        output.check()
        _write(folder, "pairs/other")
        (folder / "unfinished").unlink()
        if other == "unfinished":
            _write(folder, "unfinished")
        output.check()
    assert "pairs/other" in list_files(str(folder))


class _KilledError(BaseException):
    """Raised where a process is killed: nothing handles it."""


def _raise_at(monkeypatch, number):
    """Raise before the file operation ``number``, from 1, of those that change names."""
    left = [number]

    def counted(function):
        def call(*arguments, **options):
            left[0] -= 1
            if not left[0]:
                raise _KilledError
            return function(*arguments, **options)
        return call

    for name in ("remove", "rename", "rmdir"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))


def _replace_in_place(folder, content):
    with output_folder(str(folder), overwrite=True, in_place=True) as output:
        for name in ("a", "deep/b"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content)
        finish_folder(output.folder, "dataset", {"content": content})


def test_a_kill_of_a_replacement_in_place_leaves_no_manifest_with_files_missing(folder, monkeypatch):
    """As on an object store: the folder is unfinished for a while, but never looks finished without being so."""
    manifests = []
    for number in range(1, 100):
        _replace_in_place(folder, "old")
        with monkeypatch.context() as patch:
            _raise_at(patch, number)
            try:
                _replace_in_place(folder, "new")
                break
            except _KilledError:
                pass
        files = [path for path in list_files(str(folder)) if not path.startswith(".")]
        if "dataset_info.json" in files:
            manifests.append(json.loads((folder / "dataset_info.json").read_text())["content"])
            assert {(folder / name).read_text() for name in ("a", "deep/b")} == {manifests[-1]}
        else:
            manifests.append(None)
        _replace_in_place(folder, "new")
        assert list_files(str(folder)) == ["a", "dataset_info.json", "deep/b"]
    assert manifests == [content for content in ("old", None, "new") for _ in range(manifests.count(content))]
    assert set(manifests) == {"old", None, "new"}
