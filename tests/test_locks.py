"""Locks on folders: one process at a time, released by death, on the folder that has the name now."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.locks import FolderLockedError, folder_lock

HOLDER = str(Path(__file__).with_name("folder_lock_holder.py"))


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    folder = tmp_path / "deep" / "out"
    command = [sys.executable, HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "locked\n"
        assert list(folder.iterdir()) == []
        with pytest.raises(FolderLockedError, match="out"), folder_lock(folder, wait=False):
            raise AssertionError
        holder.kill()
    with folder_lock(folder, wait=False):
        pass


def test_a_lock_is_released_after_the_body_and_after_its_failure(tmp_path):
    with pytest.raises(RuntimeError), folder_lock(tmp_path, wait=False):
        raise RuntimeError
    with folder_lock(tmp_path, wait=False), pytest.raises(FolderLockedError), folder_lock(tmp_path, wait=False):
        raise AssertionError
    with folder_lock(tmp_path, wait=True):
        pass


def test_the_lock_is_on_the_folder_that_has_the_name_now(tmp_path, monkeypatch):
    """The folder is removed between opening and locking, as a job does that cleans its output."""
    folder, lock, removed = tmp_path / "out", fcntl.flock, []

    def removing(descriptor, operation):
        lock(descriptor, operation)
        if not removed:
            removed.append(folder.rmdir())

    monkeypatch.setattr(fcntl, "flock", removing)
    with folder_lock(folder, wait=False):
        other = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)


def test_a_file_system_without_locks_still_works(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError("no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with folder_lock(tmp_path / "out", wait=False), folder_lock(tmp_path / "out", wait=True):
        assert (tmp_path / "out").is_dir()


def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (pytest.raises(UserError, match=r"folder '.*/file/out' cannot be opened \(.*\): check the path"),
          folder_lock(tmp_path / "file" / "out", wait=True)):
        pass
