"""Stage I of a study: one entry for each distinct setting of the pretraining, with its curves over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import EMBEDDINGS_KIND
from tfrs_pretrain.artifacts import json_digest, read_manifest
from tfrs_pretrain.config import parse_pretraining
from tfrs_pretrain.study import Study

SHOWN = ("heldout_loss", "train_loss")


def stage_one(study: Study) -> dict[str, Any]:
    """Empty where no arm starts at pretrained rows.

    Returns:
      ``settings``: for each distinct one what differs from the study's configuration, the arms that start at its rows,
      its tables, and ``epochs``, each metric the mean over seeds; beside them ``heldout_loss`` by epoch and
      ``heldout_loss_before_training`` of the first, which most studies have alone.
    """
    grouped: dict[str, dict[str, Any]] = {}
    for arm in study.arms:
        for folder in filter(None, (run.embeddings for run in arm.runs)):
            manifest = read_manifest(folder, EMBEDDINGS_KIND)
            learnt = {"pretraining": _pretraining(manifest), "windows": manifest["window"]}
            entry = grouped.setdefault(json_digest(learnt), {"manifests": {}, "arms": []})
            entry["manifests"].setdefault(Path(folder), manifest)
            entry["arms"] += [arm.name] if arm.name not in entry["arms"] else []
    if not grouped:
        return {}
    settings = [_described(study, list(entry["manifests"].values()), entry["arms"]) for entry in grouped.values()]
    settings.sort(key=lambda setting: len(setting["differs"]))
    before, *losses = [epoch["heldout_loss"] for epoch in settings[0]["epochs"]]
    return {"heldout_loss": losses, "heldout_loss_before_training": before, "settings": settings}


def _described(study: Study, manifests: list[dict[str, Any]], arms: list[str]) -> dict[str, Any]:
    first = manifests[0]
    asked = study.config.resolved()
    differs = dict(differences(asked["pretraining"], _pretraining(first), "pretraining"))
    differs |= dict(differences(asked["windows"]["pretrain"], first["window"], "windows.pretrain"))
    epochs = min(len(manifest["epochs"]) for manifest in manifests)
    return {"differs": differs, "arms": arms, "seeds": len(manifests), "kept_epoch": first["kept_epoch"],
            "replicas": first["replicas"], "pretraining": _pretraining(first), "window": first["window"],
            "tables": first["tables"], "seconds": float(np.mean([_seconds(manifest) for manifest in manifests])),
            "epochs": [_mean([manifest["epochs"][place] for manifest in manifests]) for place in range(epochs)]}


def _pretraining(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of Stage I with the keys of this version."""
    return parse_pretraining(manifest["config"]["pretraining"]).model_dump(mode="json")


def differences(one: Any, other: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Dotted key -> value of ``other``, where two JSON trees differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        kinds_differ = one.get("kind") != other.get("kind")
        for key in sorted(other if kinds_differ else {*one, *other}):
            yield from differences(one.get(key), other.get(key), f"{path}.{key}")
    elif one != other:
        yield path, other


def _mean(epochs: list[dict[str, Any]]) -> dict[str, Any]:
    """Losses and recalls of one epoch over seeds, and the held-out loss of each."""
    names = [name for name in epochs[0] if name in SHOWN or name.startswith("recall@")]
    values = {name: [epoch.get(name) for epoch in epochs] for name in names}
    return {"epoch": epochs[0]["epoch"], "heldout_loss_by_seed": values["heldout_loss"],
            **{name: _mean_value(each) for name, each in values.items()}}


def _mean_value(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _seconds(manifest: Mapping[str, Any]) -> float:
    return sum(epoch.get("seconds", 0.0) + epoch.get("evaluation_seconds", 0.0) for epoch in manifest["epochs"])
