"""Writes planted logs of any size as Parquet files, chunk by chunk.

There are ten engagements for each user, a hundred for each item, and one impression for ten engagements. A user
prefers the items of one of 64 groups; popularity has a long tail. All engagements are in the days of pretraining.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

GROUPS, CHUNK, FILE_CHUNKS = 64, 1 << 20, 8
PRETRAIN_DAYS, TRAIN_DAYS, VALIDATION_DAYS, DAYS = 20, 28, 30, 34
SURFACES = ("home", "search", "related")


def config(dim: int = 16) -> dict[str, Any]:
    """Returns a configuration tree for the logs."""
    return {
        "name": "planted_scale", "seed": 1,
        "schema": {
            "user": {"column": "user", "dtype": "int64", "oov_rows": 2},
            "item": {"column": "item", "dtype": "string", "oov_rows": 8},
            "time": "time", "window": "day", "label": "clicked",
            "features": [{"name": "surface", "source": "impressions", "kind": "categorical", "dtype": "string"},
                         {"name": "topic", "source": "items", "kind": "categorical", "dtype": "int64"}]},
        "windows": {"pretrain": {"start": 0, "end": PRETRAIN_DAYS},
                    "train": {"start": PRETRAIN_DAYS, "end": TRAIN_DAYS},
                    "validation": {"start": TRAIN_DAYS, "end": VALIDATION_DAYS},
                    "test": {"start": VALIDATION_DAYS, "end": DAYS}},
        "pretraining": {"dim": dim, "epochs": 1, "batch_size": 4096},
        "dataset": {"sources": {"engagements": "engagements", "impressions": "impressions"}},
        "ranking": {"hidden": [64, 32], "feature_dim": 8, "id_dim": dim, "batch_size": 1024, "epochs": 1,
                    "arms": {"warm_start": {"transfer": "warm_start"}}},
        "export": {"arm": "warm_start"},
    }


def sizes(engagements: int) -> dict[str, int]:
    """Returns the numbers of rows, users and items."""
    return {"engagements": engagements, "impressions": engagements // 10, "users": engagements // 10,
            "items": max(engagements // 100, GROUPS)}


def write(folder: Path, engagements: int) -> None:
    """Writes engagements, impressions and items to a folder."""
    counts = sizes(engagements)
    _write_log(folder / "engagements", counts["engagements"], (0, PRETRAIN_DAYS), counts, _engagements)
    _write_log(folder / "impressions", counts["impressions"], (PRETRAIN_DAYS, DAYS), counts, _impressions)
    number = np.arange(counts["items"])
    pq.write_table(pa.table({"item": item_names(number), "topic": number % GROUPS}), folder / "items.parquet")


def _write_log(folder: Path, num_rows: int, days: tuple[int, int], counts: dict[str, int], make: Any) -> None:
    folder.mkdir(parents=True)
    writer, starts = None, range(0, num_rows, CHUNK)
    for chunk, start in enumerate(starts):
        size = min(CHUNK, num_rows - start)
        generator = np.random.default_rng([len(folder.name), chunk])
        share = (np.arange(start, start + size) + .5) / num_rows
        seconds = (86400 * (days[0] + share * (days[1] - days[0]))).astype(np.int64)
        table = pa.table({"day": (seconds // 86400).astype(np.int32), "time": seconds}
                         | make(size, counts, generator))
        if chunk % FILE_CHUNKS == 0:
            if writer:
                writer.close()
            writer = pq.ParquetWriter(folder / f"part-{chunk // FILE_CHUNKS:04d}.parquet", table.schema)
        writer.write_table(table, row_group_size=CHUNK // 4)
    if writer:
        writer.close()


def _engagements(size: int, counts: dict[str, int], generator: np.random.Generator) -> dict[str, Any]:
    user, item = _pairs(size, counts, generator, .7)
    return {"user": user * 17 + 1000, "item": item_names(item)}


def _impressions(size: int, counts: dict[str, int], generator: np.random.Generator) -> dict[str, Any]:
    user, item = _pairs(size, counts, generator, .3)
    rate = np.where(user % GROUPS == item % GROUPS, .4, .1)
    surface = pa.DictionaryArray.from_arrays(generator.integers(0, len(SURFACES), size).astype(np.int8),
                                             list(SURFACES)).cast(pa.string())
    return {"user": user * 17 + 1000, "item": item_names(item), "surface": surface,
            "clicked": (generator.random(size) < rate).astype(np.int8)}


def _pairs(size: int, counts: dict[str, int], generator: np.random.Generator, own: float
           ) -> tuple[np.ndarray, np.ndarray]:
    """Draws users uniformly, and items by popularity, a share of them from the group of the user."""
    user = generator.integers(0, counts["users"], size)
    rank = (counts["items"] // GROUPS * generator.random(size) ** 3).astype(np.int64)
    group = np.where(generator.random(size) < own, user % GROUPS, generator.integers(0, GROUPS, size))
    return user, rank * GROUPS + group


def item_names(number: np.ndarray) -> pa.Array:
    """Returns the string ids of items by number."""
    return pc.binary_join_element_wise("item-", pa.array(number).cast(pa.string()), "")
