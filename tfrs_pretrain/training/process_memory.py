"""The peak memory of the process that runs a stage, beside what its plan counts on each device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tfrs_pretrain.stages import peak_rss_bytes
from tfrs_pretrain.training.devices import Device
from tfrs_pretrain.training.memory_plan import MemoryPlan

_STATM = Path("/proc/self/statm")


def process_peak(plan: MemoryPlan, devices: Sequence[Device]) -> int:
    """Bytes of host memory that a stage's process needs: what it holds now, its tables there, and its working memory.

    Args:
      plan: of the stage, after ``place_tables``.
      devices: of the run.
    """
    layout = plan.layout(plan.settings)
    return resident_bytes() + plan.working_bytes() + sum(layout.bytes_on(device) for device in devices if device.host)


def resident_bytes() -> int:
    """Bytes of memory that this process holds; its peak where the system does not tell (macOS)."""
    if not _STATM.is_file():
        return peak_rss_bytes()
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
