"""The distinct datasets of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import DATASET_INFO, DATASET_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import parse_config
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.results.config_differences import config_differences
from tfrs_pretrain.study import Study

SECTIONS = ("windows", "schema", "dataset")  # of the configuration that determine a dataset


def datasets(study: Study) -> list[dict[str, Any]]:
    """Return one entry per distinct dataset, as ``data`` of ``results.json``; the baseline's first."""
    entries: dict[str, dict[str, Any]] = {}
    expected = study.config.resolved()
    for arm in sorted(study.arms, key=lambda arm: arm.name != study.baseline):
        for folder in dict.fromkeys(run.dataset for run in arm.runs):
            info = read_manifest(folder, DATASET_KIND, name=DATASET_INFO)
            entry = entries.setdefault(json_digest(info), _entry(info, expected, folder))
            entry["arms"] += [arm.name] if arm.name not in entry["arms"] else []
    return list(entries.values())


def _entry(info: dict[str, Any], expected: dict[str, Any], folder: Path) -> dict[str, Any]:
    # Parsed by this version, so that a key with a default that was added later is no difference.
    config = parse_config(info["config"], origin=str(folder / DATASET_INFO)).resolved()
    differs = {key: value for section in SECTIONS
               for key, value in config_differences(expected[section], config[section], section)}
    splits = {name: {key: value for key, value in split.items() if key != "shards"}
              for name, split in info["splits"].items()}
    return {"arms": [], "differs": differs, "config": {name: config[name] for name in SECTIONS},
            "counts": info["counts"], "vocabularies": info["vocabularies"], "splits": splits}
