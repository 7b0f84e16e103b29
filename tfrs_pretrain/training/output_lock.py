"""A lock that keeps two processes from training into the same output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.locks import FolderLockedError, FolderUnusableError, folder_lock


@contextlib.contextmanager
def output_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder while the body runs; the folder is created, and removed if it ends empty.

    Raises:
      UserError: another process holds the lock, or the folder cannot be created.
    """
    try:
        with folder_lock(folder, wait=False):
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # it contains checkpoints, or was removed
                    folder.rmdir()
    except FolderLockedError as error:
        raise UserError(f"another process is training with checkpoints {str(folder)!r}: wait until it has finished, "
                        "or name another output") from error
    except FolderUnusableError as error:
        raise UserError(f"checkpoints {str(folder)!r} cannot be written ({error.__cause__}): name another "
                        "output") from error
