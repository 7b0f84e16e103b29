"""A lock that keeps two processes from training into the same output."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tfrs_pretrain.errors import UserError


@contextlib.contextmanager
def output_lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder while the body runs; the folder is created, and removed if it ends empty.

    The operating system releases the lock of a process that dies. On a file system without locks, nothing is locked.

    Raises:
      UserError: another process holds the lock, or the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"checkpoints {str(folder)!r} cannot be written ({error}): name another output") from error
    try:
        _acquire(descriptor, folder)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # it contains checkpoints, or was removed
                folder.rmdir()
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"another process is training with checkpoints {str(folder)!r}: wait until it has finished, "
                        "or name another output") from error
    except OSError:
        return  # this file system has no locks
