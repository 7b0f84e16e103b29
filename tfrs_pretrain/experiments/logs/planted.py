"""Small synthetic logs in which known latent factors of users and items determine engagements and clicks.

Engagements are many and reveal the factors; impressions are few, so that a ranker learns more from embeddings
pretrained on the engagements than from its own labels. Item popularity has a long tail. The columns deliberately
differ from the demo's: non-ASCII string item ids, an integer window column and a timestamp, missing values.
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
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.metrics.auc import auc
from tfrs_pretrain.output_folders import staged_folder

PRETRAIN_DAYS, TRAIN_DAYS, VALIDATION_DAYS, DAYS = 20, 28, 30, 34
EPOCH = datetime.datetime(2024, 3, 1)
SURFACES = ("home", "search", "related")
COUNTRIES = ("Perú", "Österreich", "日本")
FACTORS = 4


@dataclasses.dataclass(frozen=True)
class _Truth:
    """The latent variables.

    Attributes:
      users, items: factors, float64 [n, FACTORS].
      popularity: probability of each item, float64 [items].
      changed: factors towards which those of the users turn, float64 [users, FACTORS].
      drift: angle in radians by which they turn each day.
      arrival: day from which each item exists, int64 [items].
    """

    users: np.ndarray
    items: np.ndarray
    popularity: np.ndarray
    changed: np.ndarray
    drift: float
    arrival: np.ndarray

    def users_at(self, user: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Return float64 [n, FACTORS], the factors of users on days, both int64 [n]."""
        factors: np.ndarray = self.users[user]
        if self.drift:
            angle = (self.drift * day)[:, None]
            factors = np.cos(angle) * factors + np.sin(angle) * self.changed[user]
        return factors

    def affinity(self, user: np.ndarray, item: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Return the affinity of users to items on days, each int64 [n]: float64 [n], standard deviation about 1."""
        affinity: np.ndarray = (self.users_at(user, day) * self.items[item]).sum(axis=1) / np.sqrt(FACTORS)
        return affinity


def write_planted_logs(output: Path, *, users: int = 300, items: int = 400, engagements: int = 20000,
                       impressions: int = 8000, drift: float = 0.0, new_items: float = 0.0, seed: int = 0,
                       overwrite: bool = False) -> None:
    """Write engagements, impressions, items and users as Parquet files, and a manifest. A seed determines all bytes.

    ``best_auc`` of the manifest is the AUC of the true click probabilities: the expected maximum of any model.

    Args:
      output: folder to write.
      users, items: number of users and of items.
      engagements, impressions: number of rows of each log, spread evenly over the days.
      drift: angle in radians by which the factors of the users turn each day.
      new_items: share of the items that appear in the course of the days.
      seed: seed of all random numbers.
      overwrite: replace the content of the folder.

    Raises:
      UserError: the output folder is not empty and ``overwrite`` is false.
    """
    generator = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, items + 1)
    of_changes = np.random.default_rng([seed, 1])  # another generator, so that logs without changes stay as they are
    arrival = np.where(of_changes.random(items) < new_items, of_changes.integers(1, DAYS, items), 0)
    arrival[0] = 0  # an item exists from the first day
    truth = _Truth(generator.normal(size=(users, FACTORS)), generator.normal(size=(items, FACTORS)),
                   popularity / popularity.sum(), of_changes.normal(size=(users, FACTORS)), drift, arrival)
    engagement_table = _engagements(truth, engagements, generator)
    impression_table, best_auc = _impressions(truth, impressions, generator)
    tables = {
        "engagements": engagement_table,
        "impressions": impression_table,
        "items": _items(truth, generator),
        "users": _users(truth, generator),
    }
    with staged_folder(output, overwrite=overwrite) as folder:
        for name, table in tables.items():
            pq.write_table(table, folder / f"{name}.parquet", row_group_size=4096)
        num_rows = {name: table.num_rows for name, table in tables.items()}
        write_manifest(folder, LOGS_KIND, {"rows": num_rows, "seed": seed, "best_auc": best_auc})


def _engagements(truth: _Truth, num_rows: int, generator: np.random.Generator) -> pa.Table:
    """Draw items with probability proportional to popularity times the exponential of twice the affinity."""
    user = generator.integers(0, len(truth.users), num_rows)
    seconds = _early_seconds(truth, num_rows, generator)
    day = np.zeros(num_rows, np.int64) if seconds is None else seconds // 86400
    # The argmax of logits plus Gumbel noise is a draw from their softmax.
    item = np.empty(num_rows, np.int64)
    for start in range(0, num_rows, 1 << 12):
        part = slice(start, start + (1 << 12))
        logits = np.log(truth.popularity) + 2 * truth.users_at(user[part], day[part]) @ truth.items.T / np.sqrt(FACTORS)
        logits[truth.arrival > day[part][:, None]] = -np.inf
        item[part] = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    if seconds is None:
        seconds = draw_seconds(0, DAYS, num_rows, generator)
    return pa.table(event_columns(seconds, user, item))


def _early_seconds(truth: _Truth, num_rows: int, generator: np.random.Generator) -> np.ndarray | None:
    """Draw the seconds of a log before its items; None if nothing depends on them, and they are drawn last."""
    return draw_seconds(0, DAYS, num_rows, generator) if truth.drift or truth.arrival.any() else None


def _impressions(truth: _Truth, num_rows: int, generator: np.random.Generator
                 ) -> tuple[pa.Table, float | None]:
    """Show half of the items by popularity, half uniformly; a click depends on affinity and surface.

    Returns:
      the impressions, and the AUC of the true click probabilities.
    """
    user = generator.integers(0, len(truth.users), num_rows)
    popular = generator.choice(len(truth.items), num_rows, p=truth.popularity)
    item = np.where(generator.random(num_rows) < 0.5, popular, generator.integers(0, len(truth.items), num_rows))
    seconds = _early_seconds(truth, num_rows, generator)
    day = np.zeros(num_rows, np.int64) if seconds is None else seconds // 86400
    item = _arrived(truth, item, day, generator)
    surface = generator.integers(0, len(SURFACES), num_rows)
    logit = 2 * truth.affinity(user, item, day) + np.array([-1.5, -0.5, -2.0])[surface]
    clicked = (generator.random(num_rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    dwell = (logit + generator.normal(size=num_rows)).astype(np.float32)
    if seconds is None:
        seconds = draw_seconds(0, DAYS, num_rows, generator)
    table = pa.table(event_columns(seconds, user, item) | {
        "surface": np.array(SURFACES)[surface].tolist(), "dwell": dwell, "clicked": clicked})
    return table, auc(clicked, logit)


def _arrived(truth: _Truth, item: np.ndarray, day: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Replace items that do not exist yet by others that do."""
    shown = item.copy()
    for each in np.unique(day[truth.arrival[item] > day]):
        missing = np.flatnonzero((day == each) & (truth.arrival[item] > day))
        shown[missing] = generator.choice(np.flatnonzero(truth.arrival <= each), len(missing))
    return shown


def _items(truth: _Truth, generator: np.random.Generator) -> pa.Table:
    number = np.arange(len(truth.items))
    quality = (truth.items[:, 1] + generator.normal(size=len(number))).astype(np.float32)
    missing = generator.random(len(number)) < 0.2
    topic = np.argmax(truth.items, axis=1) * 2 + (truth.items[:, 0] > 0)
    return pa.table({"item": item_names(number), "topic_id": topic.astype(np.int64),
                     "quality": pa.array(quality, mask=missing)})


def _users(truth: _Truth, generator: np.random.Generator) -> pa.Table:
    number = np.arange(len(truth.users))
    missing = generator.random(len(number)) < 0.3
    country = [COUNTRIES[code] for code in np.argmax(truth.users[:, :len(COUNTRIES)], axis=1)]
    return pa.table({"member": member_ids(number), "country": pa.array(country, mask=missing)})


def draw_seconds(first_day: int, last_day: int, num_rows: int, generator: np.random.Generator) -> np.ndarray:
    """Draw int64 [num_rows] ascending seconds after ``EPOCH`` between two days."""
    seconds: np.ndarray = np.sort(generator.integers(first_day * 86400, last_day * 86400, num_rows))
    return seconds


def event_columns(seconds: np.ndarray, user: np.ndarray, item: np.ndarray) -> dict[str, Any]:
    """Return the columns of both logs: ``day`` (from 0), ``ts``, ``member`` and ``item``; arguments int64 [n]."""
    return {"day": (seconds // 86400).astype(np.int32),
            "ts": pa.array(np.datetime64(EPOCH, "us") + seconds.astype("timedelta64[s]")),
            "member": member_ids(user), "item": item_names(item)}


def member_ids(number: np.ndarray) -> np.ndarray:
    """Return the int64 ids of users by number."""
    return number.astype(np.int64) * 17 + 1000


def item_names(number: np.ndarray) -> list[str]:
    """Return the string ids of items by number."""
    return [f"ítem-{value}" for value in number]
