"""Facts about the data and the machine of a study."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import DATASET_INFO, json_digest, read_manifest
from tfrs_pretrain.config import parse_config
from tfrs_pretrain.results.stage_one import differences
from tfrs_pretrain.study import Study

SHOWN = ("windows", "schema", "dataset")


def datasets(study: Study) -> list[dict[str, Any]]:
    """Each distinct dataset with what the Beam jobs counted and the arms that use it, the baseline's first."""
    found: dict[str, dict[str, Any]] = {}
    asked = study.config.resolved()
    for arm in sorted(study.arms, key=lambda arm: arm.name != study.baseline):
        for folder in dict.fromkeys(run.dataset for run in arm.runs):
            info = read_manifest(folder, "dataset", name=DATASET_INFO)
            # As read today: keys that have come since, with their defaults, are no difference.
            config = parse_config(info["config"], origin=str(folder / DATASET_INFO)).resolved()
            differs = {key: value for section in SHOWN
                       for key, value in differences(asked[section], config[section], section)}
            entry = found.setdefault(json_digest(info), {
                "arms": [], "differs": differs, "config": {name: config[name] for name in SHOWN},
                "counts": info["counts"], "vocabularies": info["vocabularies"],
                "splits": {name: {key: value for key, value in split.items() if key != "shards"}
                           for name, split in info["splits"].items()}})
            entry["arms"] += [arm.name] if arm.name not in entry["arms"] else []
    return list(found.values())


def machine() -> dict[str, Any]:
    """Where the results were put together: cores, processor, memory, versions of what computes."""
    return {"processor": _processor(), "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
            else os.cpu_count(), "memory_bytes": _memory(), "system": platform.platform(terse=True),
            "python": platform.python_version(),
            **{name: _version(name) for name in ("tensorflow", "keras", "tensorflow-recommenders", "numpy")}}


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _memory() -> int | None:
    """Bytes of main memory; None on systems that do not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
