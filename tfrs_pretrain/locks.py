"""Locks on folders, which keep two processes from writing to the same place."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tfrs_pretrain.errors import UserError


class FolderLockedError(Exception):
    """Another process holds the lock of a folder."""


class FolderUnusableError(UserError):
    """A folder cannot be created or opened."""


@contextlib.contextmanager
def folder_lock(folder: Path, *, wait: bool) -> Iterator[None]:
    """Holds an exclusive lock on a folder while the body runs; nothing is written to the folder.

    The operating system releases the lock of a process that dies. On a file system without locks, nothing is locked.

    Args:
      folder: an existing folder, or one that is created.
      wait: wait for the lock instead of raising.

    Raises:
      FolderLockedError: another process holds the lock, and ``wait`` is false.
      FolderUnusableError: the folder cannot be created or opened.
    """
    descriptor = _locked(folder, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(folder: Path, operation: int) -> int:
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise FolderUnusableError(f"folder {str(folder)!r} cannot be opened ({error}): check the path and its "
                                      "permissions") from error
        try:
            fcntl.flock(descriptor, operation)
        except BlockingIOError as error:
            os.close(descriptor)
            raise FolderLockedError(str(folder)) from error
        except OSError:
            return descriptor  # this file system has no locks
        # The process that held the lock may have removed or replaced the folder.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor
        os.close(descriptor)
