"""Replacement of output folders: kills at every file operation, other writers, links, file systems without exchange."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest
from processes import finish, start

from tfrs_pretrain import output_folders
from tfrs_pretrain.artifacts import has_manifest, read_manifest, write_manifest, write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.output_folders import put_in_place, recover, refuse_existing, remove_folder, staged_folder

WAYS = ("exchange", "renames")
SCRIPT = Path(__file__).with_name("killed_replacement.py")


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    if request.param == "renames":
        monkeypatch.setattr(output_folders, "exchange", lambda *_: False)
    return request.param


def fill(folder, content):
    folder.mkdir(exist_ok=True)
    (folder / "data").write_text(content)
    write_manifest(folder, "thing", {"content": content})


def content(target):
    """Content of a folder that is complete: all its files are of one writer."""
    assert {path.name for path in target.iterdir()} == {"data", "manifest.json"}
    found = read_manifest(target, "thing")["content"]
    assert (target / "data").read_text() == found
    return found


@pytest.fixture(scope="module", params=WAYS)
def killed(request, tmp_path_factory):
    """The folders that killed replacements left."""
    root = tmp_path_factory.mktemp("killed")
    [number] = finish(start([SCRIPT, root, request.param]))
    return [root / str(at) for at in range(1, int(number) + 1)], request.param


def check_complete(target, expected):
    found = read_manifest(target, "thing")["content"]
    assert found in expected
    assert {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()
            and path.name != "manifest.json"} == dict.fromkeys(("a", "deep/b", "deep/c"), found)
    return found


def test_a_killed_replacement_leaves_the_old_or_the_new_folder_and_the_next_one_leaves_nothing_else(killed, tmp_path):
    folders, used = killed
    found = []
    for folder in folders:
        copy = shutil.copytree(folder, tmp_path / folder.name)
        found.append(check_complete(copy / "out", ("old", "new")))
        with staged_folder(folder / "out", overwrite=True) as stage:
            shutil.copytree(copy / "out", stage, dirs_exist_ok=True)
        check_complete(folder / "out", (found[-1],))
        assert [path.name for path in folder.iterdir()] == ["out"], folder
    # All kills before the replacement leave the old folder, and all later ones the new one.
    assert found == sorted(found, reverse=True)
    assert set(found) == {"old", "new"}
    assert len(found) > (15 if used == "exchange" else 17)


def test_a_replacement_that_another_process_restored_continues(tmp_path, monkeypatch):
    """A reader comes between the two renames."""
    monkeypatch.setattr(output_folders, "exchange", lambda *_: False)
    target, rename, seen = tmp_path / "out", Path.rename, []

    def interrupted(self, other):
        rename(self, other)
        if ".replaced-" in other.name and not seen:
            assert not target.exists()
            seen.append(read_manifest(target, "thing")["content"])

    fill(target, "old")
    monkeypatch.setattr(Path, "rename", interrupted)
    with staged_folder(target, overwrite=True) as stage:
        fill(stage, "new")
    assert (seen, content(target)) == (["old"], "new")
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_another_process_fills_between_the_renames_is_replaced_too(tmp_path, monkeypatch):
    monkeypatch.setattr(output_folders, "exchange", lambda *_: False)
    target, rename, filled = tmp_path / "out", Path.rename, []

    def interrupted(self, other):
        rename(self, other)
        if ".replaced-" in other.name and not filled:
            filled.append(fill(target, "other"))

    fill(target, "old")
    monkeypatch.setattr(Path, "rename", interrupted)
    with staged_folder(target, overwrite=True) as stage:
        fill(stage, "new")
    assert content(target) == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_what_another_process_wrote_meanwhile_is_not_replaced(tmp_path, way):
    target = tmp_path / "out"
    with pytest.raises(UserError, match=r"/out' was written by another process meanwhile: pass --overwrite"), \
            staged_folder(target) as stage:
        fill(stage, "mine")
        fill(target, "other")
    assert content(target) == "other"
    assert list(tmp_path.iterdir()) == [target]


def test_the_newest_folder_that_was_set_aside_is_restored(tmp_path):
    for number, time in ((1, 200), (2, 300), (0, 100)):
        fill(tmp_path / f".out.replaced-{number}", str(number))
        os.utime(tmp_path / f".out.replaced-{number}", (time, time))
    fill(tmp_path / ".outer.replaced-3", "3")
    recover(tmp_path / "out")
    assert content(tmp_path / "out") == "2"
    with staged_folder(tmp_path / "out", overwrite=True) as stage:
        fill(stage, "new")
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".outer.replaced-3"}


def test_a_folder_that_was_set_aside_is_finished(tmp_path):
    fill(tmp_path / ".out.replaced-1", "old")
    assert not has_manifest(tmp_path / "other")
    assert has_manifest(tmp_path / "out")
    assert not has_manifest(tmp_path / "out", "other.json")


def test_a_folder_that_was_set_aside_counts_as_content(tmp_path):
    fill(tmp_path / ".out.replaced-1", "old")
    with pytest.raises(UserError, match="is not empty"):
        refuse_existing(tmp_path / "out", overwrite=False)
    assert content(tmp_path / "out") == "old"


def test_a_link_stays_and_its_folder_is_replaced(tmp_path, way):
    (tmp_path / "disk").mkdir()
    fill(tmp_path / "disk" / "real", "old")
    link = tmp_path / "out"
    link.symlink_to(tmp_path / "disk" / "real")
    with staged_folder(link, overwrite=True) as stage:
        assert stage.parent == tmp_path / "disk"
        fill(stage, "new")
    assert link.is_symlink()
    assert content(tmp_path / "disk" / "real") == "new"
    assert list((tmp_path / "disk").iterdir()) == [tmp_path / "disk" / "real"]


def test_a_link_to_a_missing_folder_is_filled(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with staged_folder(tmp_path / "out") as stage:
        fill(stage, "new")
    assert content(tmp_path / "real") == "new"


def test_a_mount_point_is_refused_before_the_work():
    with pytest.raises(UserError, match="'/proc' is a mount point, which cannot be replaced: name a folder in it"):
        refuse_existing(Path("/proc"), overwrite=True)


def test_only_folders_that_both_exist_are_exchanged(tmp_path):
    fill(tmp_path / "one", "1")
    assert not output_folders.exchange(tmp_path / "one", tmp_path / "absent")
    fill(tmp_path / "other", "2")
    if output_folders.exchange(tmp_path / "one", tmp_path / "other"):
        assert (content(tmp_path / "one"), content(tmp_path / "other")) == ("2", "1")


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_a_system_without_exchange_needs_two_renames(tmp_path, monkeypatch, error):
    def absent(_):
        raise error

    monkeypatch.setattr(output_folders.ctypes, "CDLL", absent)
    fill(tmp_path / "out", "old")
    fill(tmp_path / "new", "new")
    put_in_place(tmp_path / "new", tmp_path / "out", overwrite=True)
    assert content(tmp_path / "out") == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_a_removed_folder_never_loses_a_part(tmp_path, monkeypatch):
    """The deletion fails, as if it was killed."""
    fill(tmp_path / "out", "old")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        remove_folder(tmp_path / "out")
    [leftover] = tmp_path.iterdir()
    assert leftover.name.startswith(".out.unfinished-")
    assert content(leftover) == "old"
    remove_folder(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_text_file_are_removed_unless_their_writer_runs(tmp_path):
    dead, running = tmp_path / ".a.json.unfinished-1", tmp_path / ".a.json.unfinished-2"
    for path in (dead, running):
        path.write_text("half")
    with running.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_text(tmp_path / "a.json", "whole")
        assert sorted(path.name for path in tmp_path.iterdir()) == [running.name, "a.json"]
    write_text(tmp_path / "a.json", "other")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "other")]


def test_a_temporary_file_that_was_taken_for_abandoned_is_written_again(tmp_path, monkeypatch):
    lock, removed = fcntl.flock, []

    def removing(descriptor, operation):
        if not removed:
            [temporary] = tmp_path.iterdir()
            removed.append(temporary)
            temporary.unlink()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removing)
    write_text(tmp_path / "a.json", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert os.fspath(removed[0]) != os.fspath(tmp_path / "a.json")
