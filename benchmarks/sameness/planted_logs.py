"""Synthetic raw logs with every kind of column that the schema knows; the same seed gives the same files."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAYS = 34
EPOCH = datetime.datetime(2024, 3, 1)
USERS, ITEMS, ENGAGEMENTS, IMPRESSIONS = 150, 200, 6000, 5000


def write_logs(folder: Path, seed: int = 0) -> None:
    """Writes engagements (Parquet and JSON lines), impressions, items and users.

    Half of the users and items appear from the middle on, so that later windows have new ids. Some values are missing,
    some engagements occur twice and one impression lacks its item.
    """
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    engagements, impressions = _engagements(generator), _impressions(generator)
    for name, table in (("engagements", engagements), ("impressions", impressions), ("items", _items(generator)),
                        ("users", _users(generator))):
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=1024)
    engagements.to_pandas().to_json(folder / "engagements.jsonl", orient="records", lines=True, date_format="iso",
                                    date_unit="us", force_ascii=False)


def _events(count: int, generator: np.random.Generator) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Returns the columns that both logs share, in order of time, and the numbers of users and items."""
    seconds = np.sort(generator.integers(0, DAYS * 86400, count))
    known = np.where(seconds < DAYS * 86400 // 2, 0.5, 1.0)  # share of the ids that exist by then
    user = (generator.random(count) * known * USERS).astype(np.int64)
    item = (generator.random(count) ** 2 * known * ITEMS).astype(np.int64)
    columns = {"member": user * 17 + 1000, "item": [f"ítem-{number}" for number in item.tolist()],
               "ts": pa.array(np.datetime64(EPOCH, "us") + seconds.astype("timedelta64[s]")),
               "day": (seconds // 86400).astype(np.int32)}
    return columns, user, item


def _engagements(generator: np.random.Generator) -> pa.Table:
    columns, *_ = _events(ENGAGEMENTS, generator)
    action = np.array(["view", "save", "hide"])[generator.choice(3, ENGAGEMENTS, p=[0.7, 0.2, 0.1])]
    table = pa.table(columns | {"action": action.tolist()})
    return pa.concat_tables([table, table.slice(1000, 40)]).combine_chunks()


def _impressions(generator: np.random.Generator) -> pa.Table:
    columns, user, item = _events(IMPRESSIONS, generator)
    surface = generator.integers(0, 3, IMPRESSIONS)
    logit = np.sin(user * 0.7) * np.cos(item * 0.9) * 2 + surface * 0.5 - 1
    clicked = generator.random(IMPRESSIONS) < 1 / (1 + np.exp(-logit))
    columns["item"][3000] = ""
    return pa.table(columns | {
        "clicked": clicked.astype(np.int8), "liked": clicked & (generator.random(IMPRESSIONS) < 0.5),
        "surface": np.array(["home", "search", "related"])[surface].tolist(),
        "dwell": (logit + generator.normal(size=IMPRESSIONS)).astype(np.float32),
        "page": np.arange(IMPRESSIONS) // 4,
        "codes": ["|".join(map(str, generator.integers(0, 9, count)))
                  for count in generator.integers(0, 4, IMPRESSIONS)],
        "seen": [generator.integers(0, 4, count).tolist() for count in generator.integers(0, 3, IMPRESSIONS)]})


def _items(generator: np.random.Generator) -> pa.Table:
    number = np.arange(ITEMS)
    quality = pa.array(generator.lognormal(size=ITEMS).astype(np.float32), mask=generator.random(ITEMS) < 0.2)
    tags = [[f"Thema {place % 5}", *generator.choice(["neu", "日本", "alt"], place % 4, replace=False).tolist()]
            if place % 7 else [] for place in number.tolist()]
    return pa.table({"item": [f"ítem-{place}" for place in number.tolist()], "topic": number % 6, "quality": quality,
                     "tags": tags})


def _users(generator: np.random.Generator) -> pa.Table:
    number = np.arange(USERS)
    country = np.array(["Perú", "Österreich", "日本"])[generator.integers(0, 3, USERS)]
    return pa.table({"member": number * 17 + 1000,
                     "country": pa.array(country.tolist(), mask=generator.random(USERS) < 0.3)})
