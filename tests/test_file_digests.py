"""Digests of files in a manifest: what is listed, what is compared, and how often."""

import io
import os
import zlib

import pytest
from resealed import older_version

from tfrs_pretrain import file_digests
from tfrs_pretrain.artifacts import artifact_file, check_artifact, check_saved_model, read_manifest, write_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import BLOCK_BYTES, check_files, checked_file, describe_content

LONG_AGO = 1_000_000_000


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "ä.bin").write_bytes(b"123456789")
    (tmp_path / "empty").touch()
    for path in (tmp_path / "sub" / "ä.bin", tmp_path / "empty"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    write_manifest(tmp_path, "thing", {"n": 1})
    return tmp_path


def test_every_file_but_the_manifest_is_listed(folder):
    assert read_manifest(folder, "thing") | {"code_version": ""} == {
        "kind": "thing", "code_version": "", "n": 1, "files": {
            "empty": {"bytes": 0, "crc32c": "00000000"},
            "sub/ä.bin": {"bytes": 9, "crc32c": "e3069283"}}}  # the check value of CRC-32C


def test_content_is_described_block_by_block():
    content = bytes(range(256)) * (BLOCK_BYTES // 128) + b"end"
    found = describe_content(io.BytesIO(content))
    assert found["bytes"] == len(content)
    assert found == describe_content(io.BufferedReader(io.BytesIO(content)))
    assert int(found["crc32c"], 16) != zlib.crc32(content)


@pytest.mark.parametrize(("damage", "found"), [
    (lambda path: path.write_bytes(b"123456788"), "found 9 bytes with "), (lambda path: path.unlink(), "found no file"),
    (lambda path: path.write_bytes(b""), "found 0 bytes with 00000000")])
def test_a_changed_file_is_named(folder, damage, found):
    damage(folder / "sub" / "ä.bin")
    for read in (lambda: artifact_file(folder, "thing", "sub/ä.bin"), lambda: check_artifact(folder, "thing")):
        with pytest.raises(UserError) as refused:
            read()
        named = repr(str(folder / "sub" / "ä.bin"))
        assert f"{named}: expected 9 bytes with CRC-32C e3069283, {found}" in str(refused.value)
        assert str(refused.value).endswith("restore a copy, or run the stage that writes it again with --overwrite")
    assert artifact_file(folder, "thing", "empty") == folder / "empty"


def test_a_file_that_is_not_listed_is_refused(folder):
    (folder / "new").touch()
    with pytest.raises(UserError, match="new' is not among the files that the manifest lists"):
        artifact_file(folder, "thing", "new")
    check_artifact(folder, "thing")


def test_a_file_is_read_once_until_it_changes(folder, monkeypatch):
    read = []

    def counted(file):
        read.append(file.name)
        return describe_content(file)

    monkeypatch.setattr(file_digests, "_known", {})
    monkeypatch.setattr(file_digests, "describe_content", counted)
    manifest, path = read_manifest(folder, "thing"), folder / "sub" / "ä.bin"
    for _ in range(3):
        check_files(folder, manifest)
    assert len(read) == 2
    path.write_bytes(b"123456788")  # the same size
    with pytest.raises(UserError, match="changed after it was written"):
        checked_file(folder, manifest, "sub/ä.bin")
    assert len(read) == 3


def test_a_file_written_just_now_is_read_again(folder):
    """Its next change may leave the time as it is, where the clock of the file system is coarse."""
    path = folder / "sub" / "ä.bin"
    path.write_bytes(b"123456789")
    manifest, written = read_manifest(folder, "thing"), path.stat().st_mtime_ns
    checked_file(folder, manifest, "sub/ä.bin")
    path.write_bytes(b"123456788")
    os.utime(path, ns=(written, written))
    with pytest.raises(UserError, match="changed after it was written"):
        checked_file(folder, manifest, "sub/ä.bin")


def test_files_of_an_older_version_are_used_with_one_notice(folder, capsys):
    older_version(folder / "manifest.json")
    (folder / "empty").write_text("changed")
    for _ in range(2):
        check_artifact(folder, "thing")
        assert artifact_file(folder, "thing", "empty") == folder / "empty"
    assert capsys.readouterr().err.count("was written by an older version, without digests of its files") == 1


def test_a_version_is_covered_from_its_subfolder(tmp_path):
    check_saved_model(tmp_path)  # another program's
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    write_manifest(tmp_path / "assets.extra", "saved_model", {}, root=tmp_path)
    check_saved_model(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"graqh")
    with pytest.raises(UserError, match=r"saved_model\.pb': expected 5 bytes"):
        check_saved_model(tmp_path)
