"""Description of the machine that runs this process."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_DRIVER = Path("/proc/driver/nvidia")


def machine() -> dict[str, Any]:
    """Returns processor, GPUs, cores, memory and library versions, for the manifests of training runs."""
    return {"processor": _processor(), "gpus": _gpus(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_bytes": memory_bytes(), "system": platform.platform(terse=True),
            "python": platform.python_version(),
            **{name: _version(name) for name in ("tensorflow", "keras", "tensorflow-recommenders", "numpy")}}


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpus() -> list[str]:
    """Returns the model of each GPU that NVIDIA's driver reports."""
    reports = sorted(_DRIVER.glob("gpus/*/information"))
    return [line.partition(":")[2].strip() for report in reports for line in report.read_text().splitlines()
            if line.startswith("Model:")]


def memory_bytes() -> int | None:
    """Returns the main memory in bytes, or None if the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
