"""Facts about the data and the machines of a study."""

from __future__ import annotations

from typing import Any

from tfrs_pretrain.artifact_names import DATASET_INFO, DATASET_KIND, EMBEDDINGS_KIND, RANKER_KIND
from tfrs_pretrain.artifacts import json_digest, read_manifest
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
            info = read_manifest(folder, DATASET_KIND, name=DATASET_INFO)
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


def machines(study: Study) -> list[dict[str, Any]]:
    """Where the runs were trained: each distinct machine, as the manifests of rankers and rows name it, with the number
    of folders that say so; none for those of before machines were noted."""
    runs = [run for arm in study.arms for run in arm.runs]
    folders = {run.ranker: RANKER_KIND for run in runs}
    folders |= {run.embeddings: EMBEDDINGS_KIND for run in runs if run.embeddings}
    found: dict[str, dict[str, Any]] = {}
    for folder, kind in folders.items():
        machine = read_manifest(folder, kind).get("machine")
        if machine:
            entry = found.setdefault(json_digest(machine), {**machine, "artifacts": 0})
            entry["artifacts"] += 1
    return sorted(found.values(), key=lambda entry: -entry["artifacts"])
