"""Small synthetic logs whose truth is known: factors of users and items decide who likes what.

Engagements are broad and show the factors; impressions are few, so that a ranker learns more from embeddings that were
pretrained on the engagements than from its own labels. Item popularity has a long tail. The columns differ from the
demo's on purpose: string item ids beyond ASCII, an integer window column beside a timestamp, missing values.
"""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifact_names import LOGS_KIND
from tfrs_pretrain.artifacts import staged_folder, write_manifest
from tfrs_pretrain.metrics.auc import auc

PRETRAIN_DAYS, TRAIN_DAYS, VALIDATION_DAYS, DAYS = 20, 28, 30, 34
EPOCH = datetime.datetime(2024, 3, 1)
SURFACES = ("home", "search", "related")
COUNTRIES = ("Perú", "Österreich", "日本")
FACTORS = 4


@dataclasses.dataclass(frozen=True)
class _Truth:
    """Factors float64 [n, FACTORS], popularity float64 [items] (sums to 1) and names of users and items."""

    users: np.ndarray
    items: np.ndarray
    popularity: np.ndarray

    def affinity(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """float64 [n] with standard deviation about 1."""
        return (self.users[user] * self.items[item]).sum(axis=1) / np.sqrt(FACTORS)


def write_planted_logs(output: Path, *, users: int = 300, items: int = 400, engagements: int = 20000,
                       impressions: int = 8000, seed: int = 0, overwrite: bool = False) -> None:
    """Writes engagements, impressions, items and users as Parquet, and a manifest; the same seed, the same bytes.

    The manifest names ``best_auc``, that of the true click probabilities: no model can expect to do better.

    Args:
      output: folder to write.
      users, items: ids of each kind.
      engagements, impressions: rows of each log, spread evenly over the days.
      seed: of everything random.
      overwrite: replace what the folder holds.

    Raises:
      UserError: the output folder holds something.
    """
    generator = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, items + 1)
    truth = _Truth(generator.normal(size=(users, FACTORS)), generator.normal(size=(items, FACTORS)),
                   popularity / popularity.sum())
    engaged = _engagements(truth, engagements, generator)
    shown, best = _impressions(truth, impressions, generator)
    tables = {
        "engagements": engaged,
        "impressions": shown,
        "items": _items(truth, generator),
        "users": _users(truth, generator),
    }
    with staged_folder(output, overwrite=overwrite) as folder:
        for name, table in tables.items():
            pq.write_table(table, folder / f"{name}.parquet", row_group_size=4096)
        num_rows = {name: table.num_rows for name, table in tables.items()}
        write_manifest(folder, LOGS_KIND, {"rows": num_rows, "seed": seed, "best_auc": best})


def _engagements(truth: _Truth, rows: int, generator: np.random.Generator) -> pa.Table:
    """Each user engages with items by popularity times the exponential of affinity."""
    user = generator.integers(0, len(truth.users), rows)
    logits = np.log(truth.popularity) + 2 * truth.users @ truth.items.T / np.sqrt(FACTORS)
    # The largest of logits plus Gumbel noise is a draw from their softmax.
    item = np.empty(rows, np.int64)
    for start in range(0, rows, 1 << 12):
        chunk = logits[user[start:start + (1 << 12)]]
        item[start:start + (1 << 12)] = (chunk + generator.gumbel(size=chunk.shape)).argmax(axis=1)
    return pa.table(_when(rows, generator) | _who(user, item))


def _impressions(truth: _Truth, rows: int, generator: np.random.Generator
                 ) -> tuple[pa.Table, float | None]:
    """Items are shown half by popularity, half at random; a click depends on affinity and surface. And the best AUC."""
    user = generator.integers(0, len(truth.users), rows)
    popular = generator.choice(len(truth.items), rows, p=truth.popularity)
    item = np.where(generator.random(rows) < 0.5, popular, generator.integers(0, len(truth.items), rows))
    surface = generator.integers(0, len(SURFACES), rows)
    logit = 2 * truth.affinity(user, item) + np.array([-1.5, -0.5, -2.0])[surface]
    clicked = (generator.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    dwell = (logit + generator.normal(size=rows)).astype(np.float32)
    table = pa.table(_when(rows, generator) | _who(user, item) | {
        "surface": np.array(SURFACES)[surface].tolist(), "dwell": dwell, "clicked": clicked})
    return table, auc(clicked, logit)


def _items(truth: _Truth, generator: np.random.Generator) -> pa.Table:
    number = np.arange(len(truth.items))
    quality = (truth.items[:, 1] + generator.normal(size=len(number))).astype(np.float32)
    missing = generator.random(len(number)) < 0.2
    topic = np.argmax(truth.items, axis=1) * 2 + (truth.items[:, 0] > 0)
    return pa.table({"item": _item_names(number), "topic_id": topic.astype(np.int64),
                     "quality": pa.array(quality, mask=missing)})


def _users(truth: _Truth, generator: np.random.Generator) -> pa.Table:
    number = np.arange(len(truth.users))
    missing = generator.random(len(number)) < 0.3
    country = [COUNTRIES[code] for code in np.argmax(truth.users[:, :len(COUNTRIES)], axis=1)]
    return pa.table({"member": _member_ids(number), "country": pa.array(country, mask=missing)})


def _when(rows: int, generator: np.random.Generator) -> dict[str, Any]:
    """Days in order, and microseconds within the day."""
    seconds = np.sort(generator.integers(0, DAYS * 86400, rows))
    return {"day": (seconds // 86400).astype(np.int32),
            "ts": pa.array(np.datetime64(EPOCH, "us") + seconds.astype("timedelta64[s]"))}


def _who(user: np.ndarray, item: np.ndarray) -> dict[str, Any]:
    return {"member": _member_ids(user), "item": _item_names(item)}


def _member_ids(number: np.ndarray) -> np.ndarray:
    return number.astype(np.int64) * 17 + 1000


def _item_names(number: np.ndarray) -> list[str]:
    return [f"ítem-{value}" for value in number]
