"""Folders with a manifest: nothing half-written looks finished."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tfrs_pretrain.artifacts import read_manifest, write_manifest, write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.output_folders import staged_folder


def test_folder_appears_only_when_complete(tmp_path):
    target = tmp_path / "deep" / "artifact"
    with staged_folder(target) as folder:
        (folder / "data").write_text("x")
        write_manifest(folder, "thing", {"n": 1})
        assert not target.exists()
    assert read_manifest(target, "thing")["n"] == 1
    assert [path.name for path in target.parent.iterdir()] == ["artifact"]


def test_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), staged_folder(tmp_path / "artifact") as folder:
        (folder / "data").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_failed_replacement_keeps_the_old_one(tmp_path):
    target = tmp_path / "artifact"
    target.mkdir()
    (target / "old").write_text("x")
    with pytest.raises(RuntimeError), staged_folder(target, overwrite=True):
        raise RuntimeError
    assert (target / "old").exists()


def test_leftovers_of_a_killed_writer_are_removed(tmp_path):
    leftover = tmp_path / ".artifact.unfinished-dead"
    leftover.mkdir()
    with staged_folder(tmp_path / "artifact"):
        assert not leftover.exists()


WRITER = """
import sys, pathlib
from tfrs_pretrain.output_folders import staged_folder
with staged_folder(pathlib.Path(sys.argv[1])) as folder:
    (folder / "data").write_text("x")
    print(folder, flush=True)
    sys.stdin.readline()
"""


def test_the_folder_of_a_writer_at_work_stays_until_it_is_killed(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "artifact")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        folder = Path(writer.stdout.readline().strip())
        with pytest.raises(RuntimeError), staged_folder(tmp_path / "artifact"):
            assert (folder / "data").exists()
            raise RuntimeError
        writer.kill()
        writer.wait()
        assert (folder / "data").exists()
        with pytest.raises(RuntimeError), staged_folder(tmp_path / "artifact"):
            assert not folder.exists()
            raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_existing_output_is_refused_unless_offered(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("")
    with pytest.raises(UserError, match="not empty: pass --overwrite"), staged_folder(tmp_path / "a"):
        pass
    file = tmp_path / "a" / "x"
    with pytest.raises(UserError, match="is a file: name a folder"), staged_folder(file, overwrite=True):
        pass


def test_reading_tells_missing_unfinished_broken_and_foreign_apart(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_manifest(tmp_path / "absent", "thing")
    with pytest.raises(UserError, match=r"has no manifest\.json, so it is no finished thing"):
        read_manifest(tmp_path, "thing")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="not readable JSON"):
        read_manifest(tmp_path, "thing")
    write_manifest(tmp_path, "other", {})
    with pytest.raises(UserError, match="contains 'other', expected 'thing'"):
        read_manifest(tmp_path, "thing")


def test_manifest_is_stable_json(tmp_path):
    write_manifest(tmp_path, "thing", {"b": 1, "a": 2})
    text = (tmp_path / "manifest.json").read_text()
    assert list(json.loads(text)) == ["a", "b", "code_version", "content_digest", "digest_algorithm", "files", "kind"]
    assert json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1})


def test_urls_are_not_taken_for_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="'gs://bucket/rows' is on a remote file system"):
        read_manifest(Path("gs://bucket/rows"), "embeddings")
    with pytest.raises(UserError, match="'s3://bucket/rows' is on a remote"), staged_folder(Path("s3://bucket/rows")):
        pass
    assert list(tmp_path.iterdir()) == []


def test_text_that_cannot_be_written_leaves_no_part_of_it(tmp_path, monkeypatch):
    def full(path, text):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "verdict.json", "{}")
    assert list(tmp_path.iterdir()) == []
