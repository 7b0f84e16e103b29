"""The machines that trained the runs of a study."""

from __future__ import annotations

from typing import Any

from tfrs_pretrain.artifact_names import EMBEDDINGS_KIND, RANKER_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.study import Study


def machines(study: Study) -> list[dict[str, Any]]:
    """Return one entry per distinct machine named by manifests of rankers and embeddings, the most frequent first.

    Each entry contains the manifest's description of the machine and ``artifacts``, the number of folders it made.
    Manifests of older versions name no machine and are skipped.
    """
    runs = [run for arm in study.arms for run in arm.runs]
    folders = {run.ranker: RANKER_KIND for run in runs}
    folders |= {run.embeddings: EMBEDDINGS_KIND for run in runs if run.embeddings}
    entries: dict[str, dict[str, Any]] = {}
    for folder, kind in folders.items():
        machine = read_manifest(folder, kind).get("machine")
        if machine:
            entries.setdefault(json_digest(machine), {**machine, "artifacts": 0})["artifacts"] += 1
    return sorted(entries.values(), key=lambda entry: -entry["artifacts"])
