"""Lock an experiment's output folder: one process at a time works in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tfrs_pretrain.errors import UserError

LOCK = "lock"


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold the lock of the folder while the body runs. The operating system releases the lock of a dead process.

    Raises:
      UserError: another process holds the lock.
    """
    output.mkdir(parents=True, exist_ok=True)
    with (output / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise UserError(f"process {file.read().strip() or 'unknown'} works in {str(output)!r}: wait until it is "
                            "done, or use another --output") from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
