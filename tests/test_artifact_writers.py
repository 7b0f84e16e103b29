"""Writers and readers of artifacts at the edges: replacement, locks, damaged JSON, digests."""

import fcntl
import hashlib
import json
import os
from pathlib import Path

import pytest

from tfrs_pretrain import __version__
from tfrs_pretrain.artifacts import (
    file_digest,
    manifest_text,
    read_manifest,
    read_optional_json,
    write_manifest,
    write_text,
)
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import json_digest, without_digest
from tfrs_pretrain.output_folders import refuse_existing, staged_folder, unfinished_folder


def refusal(function, *arguments, **options):
    with pytest.raises(UserError) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_replacement_contains_nothing_of_the_old_folder(tmp_path):
    target = tmp_path / "artifact"
    target.mkdir()
    (target / "old").write_text("x")
    with staged_folder(target, overwrite=True) as folder:
        assert (target / "old").exists()  # until the new one is complete
        assert list(folder.iterdir()) == []
        (folder / "new").write_text("y")
    assert [path.name for path in target.iterdir()] == ["new"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "artifact").mkdir()
    with staged_folder(tmp_path / "artifact") as folder:
        (folder / "new").write_text("y")
    assert (tmp_path / "artifact" / "new").read_text() == "y"


def test_names_of_unfinished_folders_are_hidden_and_unique(tmp_path):
    with unfinished_folder(tmp_path / "deep", "name") as one, unfinished_folder(tmp_path / "deep", "name") as other:
        assert one != other
        for folder in (one, other):
            assert folder.parent == tmp_path / "deep"
            assert folder.name.startswith(".name.unfinished-")
    assert list((tmp_path / "deep").iterdir()) == []


def test_an_unfinished_folder_is_locked_while_its_writer_runs(tmp_path):
    with unfinished_folder(tmp_path, "name") as folder:
        handle = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)


def test_leftovers_of_other_names_stay(tmp_path):
    other = tmp_path / ".another.unfinished-dead"
    other.mkdir()
    with unfinished_folder(tmp_path, "name"):
        assert other.exists()


def test_a_folder_that_the_body_renamed_stays(tmp_path):
    with unfinished_folder(tmp_path, "name") as folder:
        (folder / "data").write_text("x")
        folder.rename(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_file_system_without_locks_still_works(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError("no locks")

    leftover = tmp_path / ".name.unfinished-dead"
    leftover.mkdir()
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with unfinished_folder(tmp_path, "name") as folder:
        assert folder.is_dir()
        assert leftover.exists()  # nobody can tell whether its writer runs
    assert not folder.exists()


@pytest.mark.parametrize(("make", "overwrite", "words"), [
    (None, False, None), ("empty", False, None), ("full", True, None),
    ("full", False, "is not empty: pass --overwrite"),
    ("file", False, "is a file: name a folder"), ("file", True, "is a file: name a folder")])
def test_outputs_are_checked_before_the_work(tmp_path, make, overwrite, words):
    target = tmp_path / "out"
    if make == "file":
        target.write_text("")
    elif make:
        target.mkdir()
        if make == "full":
            (target / "x").write_text("")
    if words:
        assert words in refusal(refuse_existing, target, overwrite=overwrite)
    else:
        refuse_existing(target, overwrite=overwrite)


@pytest.mark.parametrize("path", ["gs:/bucket/x", "s3:/b", "abfs+x.y-z:/b"])
def test_urls_are_refused(path):
    assert f"{path.replace(':/', '://')!r} is on a remote file system" in refusal(
        refuse_existing, Path(path), overwrite=False)


@pytest.mark.parametrize("path", ["gs", "C:/data", "3x:/data", "folder/gs:/x"])
def test_folders_with_a_colon_are_no_urls(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    refuse_existing(Path(path), overwrite=False)


def test_a_manifest_names_kind_and_version_unless_the_content_does():
    content = without_digest(json.loads(manifest_text("thing", {"n": 1})))
    assert content == {"kind": "thing", "code_version": __version__, "n": 1}
    assert manifest_text("thing", {"n": 1}) == manifest_text("thing", {"n": 1}).rstrip("\n") + "\n"
    assert json.loads(manifest_text("thing", {"code_version": "0"}))["code_version"] == "0"


def test_a_manifest_can_have_another_name(tmp_path):
    write_manifest(tmp_path, "thing", {"n": 1}, name="info.json")
    assert [path.name for path in tmp_path.iterdir()] == ["info.json"]
    assert read_manifest(tmp_path, "thing", name="info.json")["n"] == 1
    assert "has no manifest.json" in refusal(read_manifest, tmp_path, "thing")


def test_one_of_several_kinds_is_enough(tmp_path):
    write_manifest(tmp_path, "second", {})
    assert read_manifest(tmp_path, "first", "second")["kind"] == "second"
    assert "contains 'second', expected 'first' or 'third'" in refusal(read_manifest, tmp_path, "first", "third")
    assert refusal(read_manifest, tmp_path / "absent", "first", "third").startswith("first folder ")


@pytest.mark.parametrize("text", ["[]", "3", "null", '"thing"', "{}", '{"kind": null}'])
def test_json_without_a_kind_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    assert "contains None, expected 'thing'" in refusal(read_manifest, tmp_path, "thing")


@pytest.mark.parametrize("content", [b"", b"{", b"{'kind': 1}", b"\xff\xfe", b'{"kind": "thing"} {}'])
def test_damaged_json_is_named(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    message = refusal(read_manifest, tmp_path, "thing")
    assert f"{str(tmp_path / 'manifest.json')!r} is not readable JSON (" in message


def test_optional_json_may_be_absent_but_not_damaged(tmp_path):
    path = tmp_path / "costs.json"
    assert read_optional_json(path) == {}
    write_text(path, '{"a": [1]}')
    assert read_optional_json(path) == {"a": [1]}
    for text, words in (("{", "is not readable JSON"), ("null", "contains a NoneType"),
                        ("[]", "contains a list, not an object: restore a copy, or remove it")):
        write_text(path, text)
        assert words in refusal(read_optional_json, path)
    path.write_bytes(b"\xff")
    assert "is not readable JSON" in refusal(read_optional_json, path)


def test_text_replaces_an_older_file(tmp_path):
    for text in ("one", "two"):
        write_text(tmp_path / "a.json", text)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "two")]


def test_a_failed_rename_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("old")

    def broken(*_):
        raise OSError("read-only")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="read-only"):
        write_text(path, "new")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.json", "old")]


def test_digests_are_sha256(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"abc")
    assert file_digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert json_digest({"b": [1, None], "a": "ü"}) == hashlib.sha256(
        b'{"a": "\\u00fc", "b": [1, null]}').hexdigest()
    assert json_digest([1, 2]) != json_digest([2, 1])
