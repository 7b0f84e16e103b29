"""Memory that a model needs, measured while it is loaded."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.stages import peak_rss_bytes

INTERVAL = 0.01  # seconds between two measurements
STATM = Path("/proc/self/statm")


@dataclasses.dataclass
class MemoryUse:
    """Growth of this process's resident memory, in bytes.

    Attributes:
      peak: largest growth measured; one measurement every 10 ms.
      last: growth at the end of the body.
    """

    peak: int = 0
    last: int = 0


@dataclasses.dataclass(frozen=True)
class MemoryNeed:
    """Memory that a server needs, in bytes.

    Attributes:
      version_bytes: for one version.
      reload_bytes: for a hot reload, during which the old and the new version are loaded.
      budget_bytes: memory of the server; None: unknown.
    """

    version_bytes: int
    reload_bytes: int
    budget_bytes: int | None

    def sentence(self) -> str:
        """Describes the need in words."""
        budget = "no budget set" if self.budget_bytes is None else f"budget {self.budget_bytes / 1e6:,.1f} MB"
        return (f"memory: {self.version_bytes / 1e6:,.1f} MB per version, {self.reload_bytes / 1e6:,.1f} MB during a "
                f"hot reload ({budget}).")


@contextlib.contextmanager
def memory_growth() -> Iterator[MemoryUse]:
    """Measures memory growth while the body runs.

    Memory that the process has freed but not returned to the system can hide some of the growth.
    """
    use, done = MemoryUse(), threading.Event()
    start = _resident_bytes()

    def measure() -> None:
        use.last = _resident_bytes() - start
        use.peak = max(use.peak, use.last)

    def watch() -> None:
        while not done.wait(INTERVAL):
            measure()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield use
    finally:
        done.set()
        watcher.join()
        measure()


def _resident_bytes() -> int:
    if STATM.is_file():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak_rss_bytes()  # not Linux: detects growth only beyond the process's earlier peak


def check_budget(model: Path, use: MemoryUse, budget: int | None) -> MemoryNeed:
    """Checks that a hot reload fits into the memory budget.

    A version needs the measured memory, and at least the size of its variables and lookups on disk.

    Args:
      model: folder of the SavedModel.
      use: memory measured while the model was loaded and answered requests.
      budget: memory of the server in bytes; None: no limit.

    Raises:
      UserError: a hot reload exceeds the budget.
    """
    version = max(use.peak, folder_bytes(model / "variables") + folder_bytes(model / "assets"))
    if budget is not None and 2 * version > budget:
        raise UserError(f"one version needs {version:,} bytes of memory, and a hot reload, during which two versions "
                        f"are loaded, {2 * version:,}; export.memory_budget_bytes is {budget:,}, nothing was exported: "
                        "set export.table_dtype to float16 or int8, shrink the tables, or raise the budget")
    return MemoryNeed(version, 2 * version, budget)


def folder_bytes(folder: Path) -> int:
    """Returns the total size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
