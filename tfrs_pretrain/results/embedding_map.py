"""Whether rows know what an item is, though nobody told them: neighbours of one category, and a picture.

A picture alone proves nothing, so each comes with its neighbour purity: the share of an item's nearest rows, by cosine,
that have its category, beside the share that chance would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifact_names import PREDICTIONS_FOLDER, RANKER_KIND, TABLES_FOLDER
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.evaluation.predictions import FEATURE, ITEM_COUNT
from tfrs_pretrain.metrics.neighbour_purity import chance_purity, l2_normalized, neighbour_purity
from tfrs_pretrain.metrics.principal_components import principal_components
from tfrs_pretrain.ranking.predict import MISSING_VALUE, UNKNOWN
from tfrs_pretrain.results.selection import best
from tfrs_pretrain.schema import ITEM_ROW
from tfrs_pretrain.study import Run, Study

NEIGHBOURS = 10
# Rows of rarer items have hardly moved from where they started.
LEAST_ENGAGEMENTS = 5
JUDGED, DRAWN, CATEGORIES = 8000, 1200, 8
# A feature colours the map if it has from 2 to so many values, the most of them; more are as good as ids.
READABLE = 40


def embedding_map(study: Study, arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """PCA of item rows by category: Stage I's, those of the best warm arm, those of an arm from scratch.

    Items are those of the scored impressions with a known category and at least LEAST_ENGAGEMENTS engagements in the
    pretraining window. None where no item feature has a readable number of values, or no table of item rows is there.
    """
    first = {arm.name: arm.runs[0] for arm in study.arms if arm.runs}
    run = first[study.baseline]
    # Rows mean the same items only where the dataset is the same.
    dataset = {name: read_manifest(one.ranker, RANKER_KIND)["dataset_digest"] for name, one in first.items()}
    first = {name: one for name, one in first.items() if dataset[name] == dataset[study.baseline]}
    features = [feature.name for feature in study.config.schema_.features
                if feature.source == "items" and feature.record_column.is_category]
    found = item_categories(run, features)
    if found is None:
        return None
    feature, items, categories = found
    tables = _tables(first, arms, study.baseline)
    places = np.random.default_rng(0).permutation(len(items))[:JUDGED]
    items, categories = items[places], categories[places]
    names, counts = np.unique(categories, return_counts=True)
    largest = names[np.argsort(-counts, kind="stable")][:CATEGORIES]
    maps = [{"title": title, **_map(rows[items], categories)} for title, rows in tables if len(rows) > items.max()]
    if not maps:
        return None
    shown = categories[:DRAWN]
    return {"feature": feature, "values": len(names), "most_values": READABLE, "items": len(items), "drawn": len(shown),
            "neighbours": NEIGHBOURS, "least_engagements": LEAST_ENGAGEMENTS, "chance": chance_purity(categories),
            "categories": [str(name) for name in largest],
            "category": [int(np.flatnonzero(largest == name)[0]) if name in largest else -1 for name in shown],
            "maps": maps}


def item_categories(run: Run, features: Sequence[str]) -> tuple[str, np.ndarray, np.ndarray] | None:
    """The feature to colour by, int64 [n] item rows and [n] their values, from a run's scored impressions."""
    paths = sorted((run.ranker / PREDICTIONS_FOLDER).glob("*.parquet"))
    there = set(pq.read_schema(paths[0]).names) if paths else set()
    names = [name for name in features if FEATURE + name in there]
    if not names or ITEM_COUNT not in there:
        return None
    columns = [ITEM_ROW, ITEM_COUNT, *(FEATURE + name for name in names)]
    scored = pa.concat_tables([pq.read_table(path, columns=columns) for path in paths])
    items, places = np.unique(scored[ITEM_ROW].to_numpy(), return_index=True)
    scored = scored.take(pa.array(places))
    often = scored[ITEM_COUNT].to_numpy() >= LEAST_ENGAGEMENTS
    found: list[tuple[str, np.ndarray, np.ndarray]] = []
    for name in names:
        values = np.array(scored[FEATURE + name].cast(pa.string()).to_pylist(), dtype=str)
        kept = often & ~np.isin(values, (UNKNOWN, MISSING_VALUE))
        if 2 <= len(np.unique(values[kept])) <= READABLE:
            found.append((name, items[kept], values[kept]))
    return max(found, key=lambda one: len(np.unique(one[2])), default=None)


def _map(rows: np.ndarray, categories: np.ndarray) -> dict[str, Any]:
    points, explained = principal_components(l2_normalized(rows))
    points = points[:DRAWN] / max(np.abs(points).max(), 1e-12)
    return {"purity": neighbour_purity(rows, categories, NEIGHBOURS) if len(rows) > NEIGHBOURS else None,
            "dim": rows.shape[1], "explained": [round(float(share), 4) for share in explained],
            "x": np.round(points[:, 0], 3).tolist(), "y": np.round(points[:, 1], 3).tolist()}


def _tables(first: Mapping[str, Run], arms: Mapping[str, Mapping[str, Any]],
            baseline: str) -> list[tuple[str, np.ndarray]]:
    """Titles and item rows, as far as they are at hand."""
    warm = best(arms, [name for name in first if arms[name]["transfer"]["item"] == "warm_start"])
    scratch = [name for name in (baseline, *first) if arms[name]["transfer"]["item"] == "scratch"]
    tables = []
    start = first[warm].embeddings if warm else None
    if start is not None:
        tables.append(("Stage I", np.asarray(Embeddings.open(start).matrix("item"))))
    for name in filter(None, (warm, scratch[0] if scratch else None)):
        path = first[name].ranker / TABLES_FOLDER / f"{_item_table(first[name].ranker)}.npy"
        if path.is_file():
            tables.append((name, np.load(path)))
    return tables


def _item_table(ranker: Path) -> str:
    """Name of the table that the item's rows are in."""
    inputs = read_manifest(ranker, RANKER_KIND)["inputs"]["rows"]
    return next((str(entry["table"]) for entry in inputs if entry["column"] == ITEM_ROW), ITEM_ROW)
