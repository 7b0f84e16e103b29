"""Results of Stage I: one entry per distinct pretraining, with its curves averaged over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import EMBEDDINGS_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import parse_pretraining
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.results.config_differences import config_differences
from tfrs_pretrain.study import Study

LOSSES = ("heldout_loss", "train_loss")


def stage_one(study: Study) -> dict[str, Any]:
    """Return ``stage_one`` of ``results.json``; empty if no arm uses pretrained rows.

    Returns:
      ``settings``: one entry per distinct pretraining, those with the fewest differences from the study's
      configuration first; and ``heldout_loss`` by epoch and ``heldout_loss_before_training`` of the first entry.
    """
    groups: dict[str, dict[str, Any]] = {}
    for arm in study.arms:
        for folder in filter(None, (run.embeddings for run in arm.runs)):
            manifest = read_manifest(folder, EMBEDDINGS_KIND)
            identity = {"pretraining": _pretraining(manifest), "windows": manifest["window"]}
            group = groups.setdefault(json_digest(identity), {"manifests": {}, "arms": []})
            group["manifests"].setdefault(Path(folder), manifest)
            group["arms"] += [arm.name] if arm.name not in group["arms"] else []
    if not groups:
        return {}
    settings = [_entry(study, list(group["manifests"].values()), group["arms"]) for group in groups.values()]
    settings.sort(key=lambda entry: len(entry["differs"]))
    before, *losses = [epoch["heldout_loss"] for epoch in settings[0]["epochs"]]
    return {"heldout_loss": losses, "heldout_loss_before_training": before, "settings": settings}


def _entry(study: Study, manifests: Sequence[Mapping[str, Any]], arms: list[str]) -> dict[str, Any]:
    """Return the entry of one pretraining, which several seeds repeated."""
    first, expected = manifests[0], study.config.resolved()
    differs = dict(config_differences(expected["pretraining"], _pretraining(first), "pretraining"))
    differs |= dict(config_differences(expected["windows"]["pretrain"], first["window"], "windows.pretrain"))
    epochs = zip(*(manifest["epochs"] for manifest in manifests), strict=False)
    return {"differs": differs, "arms": arms, "seeds": len(manifests), "kept_epoch": first["kept_epoch"],
            "replicas": first["replicas"], "pretraining": _pretraining(first), "window": first["window"],
            "tables": first["tables"], "seconds": float(np.mean([_seconds(manifest) for manifest in manifests])),
            "epochs": [_mean_epoch(epoch) for epoch in epochs]}


def _pretraining(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of Stage I with the keys of this version."""
    return parse_pretraining(manifest["config"]["pretraining"]).model_dump(mode="json")


def _mean_epoch(epochs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Average losses and recalls of one epoch over seeds."""
    names = [name for name in epochs[0] if name in LOSSES or name.startswith("recall@")]
    by_seed = {name: [epoch.get(name) for epoch in epochs] for name in names}
    return {"epoch": epochs[0]["epoch"], "heldout_loss_by_seed": by_seed["heldout_loss"],
            **{name: _mean(values) for name, values in by_seed.items()}, **_intervals(epochs)}


def _intervals(epochs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the number of queries, and the mean ends of each recall's intervals: at least the mean's own interval,
    because all seeds are evaluated on the same users. Empty for embeddings of versions without intervals.
    """
    if not all(epoch.get("intervals") for epoch in epochs):
        return {}
    by_seed = {name: [epoch["intervals"][name] for epoch in epochs] for name in epochs[0]["intervals"]
               if name.startswith("recall@")}
    return {"queries": epochs[0]["queries"], "eligible_users": epochs[0]["eligible_users"], "intervals": {
        name: None if None in ends else np.mean(ends, axis=0).tolist() for name, ends in by_seed.items()}}


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if len(defined) == len(values) else None


def _seconds(manifest: Mapping[str, Any]) -> float:
    """Return the seconds of training and evaluation, over all epochs."""
    return sum(float(epoch.get("seconds", 0.0) + epoch.get("evaluation_seconds", 0.0)) for epoch in manifest["epochs"])
