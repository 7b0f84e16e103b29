"""How much memory a model takes, measured while it is loaded."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.stages import peak_rss_bytes

INTERVAL = 0.01  # seconds between looks
STATM = Path("/proc/self/statm")


@dataclasses.dataclass
class MemoryUse:
    """Growth of this process's resident memory, in bytes.

    Attributes:
      peak: the most at any look, every 10 ms.
      last: when the body ended.
    """

    peak: int = 0
    last: int = 0


@contextlib.contextmanager
def memory_growth() -> Iterator[MemoryUse]:
    """Measures while the body runs; memory that the process had freed but kept can hide some of the growth."""
    use, done = MemoryUse(), threading.Event()
    start = _resident()

    def look() -> None:
        use.last = _resident() - start
        use.peak = max(use.peak, use.last)

    def watch() -> None:
        while not done.wait(INTERVAL):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield use
    finally:
        done.set()
        watcher.join()
        look()


def _resident() -> int:
    if STATM.is_file():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak_rss_bytes()  # not Linux: sees growth only beyond what the process has ever had


def check_budget(model: Path, use: MemoryUse, budget: int | None) -> dict[str, int | None]:
    """``version_bytes`` that one version needs, ``reload_bytes`` in which the old and the new are both there, budget.

    A version needs what was measured, and at least what its variables and lookups take on disk.

    Args:
      model: folder of the SavedModel.
      use: of loading it and answering.
      budget: bytes that the server has; None: no limit.

    Raises:
      UserError: a hot reload exceeds the budget.
    """
    version = max(use.peak, folder_bytes(model / "variables") + folder_bytes(model / "assets"))
    if budget is not None and 2 * version > budget:
        raise UserError(f"one version needs {version:,} bytes of memory and a hot reload, which holds two, "
                        f"{2 * version:,}; export.memory_budget_bytes is {budget:,}, nothing was exported: set "
                        "export.table_dtype to float16 or int8, shrink the tables, or raise the budget")
    return {"version_bytes": version, "reload_bytes": 2 * version, "budget_bytes": budget}


def folder_bytes(folder: Path) -> int:
    """Size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
