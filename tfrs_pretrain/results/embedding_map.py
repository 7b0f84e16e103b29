"""A map of item rows coloured by a category that no ID table was trained on, with the neighbour purity of each table.

The purity is the share of an item's nearest rows, by cosine, that have its category. It is reported beside the purity
that random rows would have, because the picture alone proves nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifact_names import RANKER_KIND, TABLES_FOLDER
from tfrs_pretrain.artifacts import artifact_file, read_manifest
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.metrics.neighbour_purity import chance_purity, l2_normalized, neighbour_purity
from tfrs_pretrain.metrics.principal_components import principal_components
from tfrs_pretrain.results.item_categories import MAX_VALUES, MIN_ENGAGEMENTS, item_categories
from tfrs_pretrain.results.selection import best_arm
from tfrs_pretrain.schema import ITEM_ROW
from tfrs_pretrain.study import Run, Study

NEIGHBOURS = 10
MAX_EVALUATED, MAX_DRAWN, MAX_COLOURS = 8000, 1200, 8
OTHER = -1  # index of the categories without a colour


@dataclasses.dataclass(frozen=True)
class ItemTable:
    """A title and item rows, float [rows, dim]."""

    title: str
    rows: np.ndarray


def embedding_map(study: Study, arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return ``embedding_map`` of ``results.json``.

    The tables are Stage I's, that of the best warm-started arm, and that of an arm from scratch. Items are those of
    the scored impressions with a known category and at least ``MIN_ENGAGEMENTS`` engagements in the pretraining window.

    Args:
      study: the study.
      arms: ``arms`` of ``results.json``.

    Returns:
      None if no item feature has a suitable number of values, or no table is available.
    """
    runs = _first_runs_on_the_same_dataset(study)
    features = [feature.name for feature in study.config.schema_.features
                if feature.source == "items" and feature.record_column.is_category]
    found = item_categories(runs[study.baseline], features)
    if found is None:
        return None
    sample = np.random.default_rng(0).permutation(len(found.items))[:MAX_EVALUATED]
    items, categories = found.items[sample], found.categories[sample]
    maps = [{"title": table.title, **_map(table.rows[items], categories)}
            for table in _item_tables(runs, arms, study.baseline) if len(table.rows) > items.max()]
    if not maps:
        return None
    coloured, indices = _colour_indices(categories)
    return {"feature": found.feature, "values": len(np.unique(categories)), "most_values": MAX_VALUES,
            "items": len(items), "drawn": len(indices), "neighbours": NEIGHBOURS,
            "least_engagements": MIN_ENGAGEMENTS, "chance": chance_purity(categories), "categories": coloured,
            "category": indices, "maps": maps}


def _first_runs_on_the_same_dataset(study: Study) -> dict[str, Run]:
    """Return arm -> its first run, for the arms with the baseline's dataset: only there, row numbers mean the same."""
    runs = {arm.name: arm.runs[0] for arm in study.arms if arm.runs}
    digests = {name: read_manifest(run.ranker, RANKER_KIND)["dataset_digest"] for name, run in runs.items()}
    return {name: run for name, run in runs.items() if digests[name] == digests[study.baseline]}


def _colour_indices(categories: np.ndarray) -> tuple[list[str], list[int]]:
    """Return the largest categories, and for each drawn item the index of its category among them, or OTHER."""
    names, counts = np.unique(categories, return_counts=True)
    largest = [str(name) for name in names[np.argsort(-counts, kind="stable")][:MAX_COLOURS]]
    index = {name: position for position, name in enumerate(largest)}
    return largest, [index.get(str(name), OTHER) for name in categories[:MAX_DRAWN]]


def _map(rows: np.ndarray, categories: np.ndarray) -> dict[str, Any]:
    """Return purity and coordinates in [-1, 1] of float rows [items, dim]."""
    points, explained = principal_components(l2_normalized(rows))
    points = points[:MAX_DRAWN] / max(np.abs(points).max(), 1e-12)
    return {"purity": neighbour_purity(rows, categories, NEIGHBOURS) if len(rows) > NEIGHBOURS else None,
            "dim": rows.shape[1], "explained": [round(float(share), 4) for share in explained],
            "x": np.round(points[:, 0], 3).tolist(), "y": np.round(points[:, 1], 3).tolist()}


def _item_tables(runs: Mapping[str, Run], arms: Mapping[str, Mapping[str, Any]], baseline: str) -> list[ItemTable]:
    """Return the tables that exist."""
    warm = best_arm(arms, [name for name in runs if arms[name]["transfer"]["item"] == "warm_start"])
    scratch = next((name for name in (baseline, *runs) if arms[name]["transfer"]["item"] == "scratch"), None)
    embeddings = runs[warm].embeddings if warm else None
    tables = [] if embeddings is None else [
        ItemTable("Stage I", np.asarray(Embeddings.open(embeddings).matrix("item")))]
    files = {name: (runs[name].ranker, _item_table_file(runs[name].ranker)) for name in (warm, scratch) if name}
    return [*tables, *(ItemTable(name, np.load(artifact_file(ranker, RANKER_KIND, file)))
                       for name, (ranker, file) in files.items() if (ranker / file).is_file())]


def _item_table_file(ranker: Path) -> str:
    """Return the file of the table that contains the item's rows, relative to the ranker."""
    inputs: Sequence[Mapping[str, Any]] = read_manifest(ranker, RANKER_KIND)["inputs"]["rows"]
    name = next((entry["table"] for entry in inputs if entry["column"] == ITEM_ROW), ITEM_ROW)
    return f"{TABLES_FOLDER}/{name}.npy"
