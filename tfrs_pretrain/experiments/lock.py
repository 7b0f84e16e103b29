"""One process at a time works in an output folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tfrs_pretrain.errors import UserError

LOCK = "lock"


@contextlib.contextmanager
def working_in(output: Path) -> Iterator[None]:
    """Holds the folder's lock while the body runs; the system takes it from a process that dies.

    Raises:
      UserError: another process holds it.
    """
    output.mkdir(parents=True, exist_ok=True)
    with (output / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise UserError(f"process {file.read().strip() or 'unknown'} works in {str(output)!r}: wait until it is "
                            "done, or name another --output") from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
