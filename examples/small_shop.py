"""Logs of a small shop and their configuration, which the examples share: generated in a second, learned in a few.

Visitors and articles have a taste in four dimensions. What visitors buy shows it: 12,000 purchases of five weeks. The
ranking model has only the 5,000 impressions of two weeks to learn from.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

VISITORS, ARTICLES, PURCHASES, SHOWN, DAYS, TASTES = 250, 200, 12_000, 5_000, 49, 4
START = pd.Timestamp("2024-05-06")

# All examples write here: what one has built, the next one finds.
FOLDER = Path(os.environ.get("EXAMPLES_FOLDER", Path(__file__).resolve().parents[1] / "runs" / "examples"))
CONFIG: dict[str, Any] = {
    "name": "small_shop",
    "schema": {
        "user": {"column": "visitor", "dtype": "string"}, "item": {"column": "article", "dtype": "int64"},
        "time": "at", "window": "at", "label": "clicked",
        "features": [{"name": "section", "source": "items", "kind": "categorical", "dtype": "string"},
                     {"name": "device", "source": "impressions", "kind": "categorical", "dtype": "string"}]},
    "windows": {"pretrain": {"start": "2024-05-06", "end": "2024-06-10"},
                "train": {"start": "2024-06-10", "end": "2024-06-19"},
                "validation": {"start": "2024-06-19", "end": "2024-06-21"},
                "test": {"start": "2024-06-21", "end": "2024-06-24"}},
    "dataset": {"shards": 1},
    "pretraining": {"dim": 16, "epochs": 8, "batch_size": 512, "learning_rate": 0.02, "recall_at": [10]},
    "ranking": {"hidden": [32], "id_dim": 16, "feature_dim": 4, "batch_size": 128, "epochs": 2, "learning_rate": 0.005,
                "table_learning_rate": 0.005,
                "arms": {"scratch": {}, "warm_start": {"transfer": "warm_start"}}},
    "export": {"arm": "warm_start"},
}


def write_logs(folder: Path) -> Path:
    """Write engagements, impressions and items as Parquet files; keep those that are there."""
    if folder.is_dir():
        return folder
    folder.mkdir(parents=True)
    random = np.random.default_rng(7)
    visitors, articles = random.normal(size=(VISITORS, TASTES)), random.normal(size=(ARTICLES, TASTES))
    popularity = 1 / np.arange(1, ARTICLES + 1) ** 0.7
    popularity /= popularity.sum()
    liking = visitors @ articles.T

    def log(rows: int, first_day: int, visitor: np.ndarray, article: np.ndarray) -> dict[str, Any]:
        seconds = np.sort(random.integers(first_day * 86400, DAYS * 86400, rows))
        return {"at": START + pd.to_timedelta(seconds, unit="s"), "article": article + 1000,
                "visitor": [f"v{number:03}" for number in visitor]}

    visitor = random.integers(0, VISITORS, PURCHASES)
    chance = np.log(popularity) + liking[visitor] + random.gumbel(size=(PURCHASES, ARTICLES))
    pd.DataFrame(log(PURCHASES, 0, visitor, chance.argmax(axis=1))).to_parquet(folder / "engagements.parquet")
    visitor, article = random.integers(0, VISITORS, SHOWN), random.choice(ARTICLES, SHOWN, p=popularity)
    clicks = random.random(SHOWN) < 1 / (1 + np.exp(1 - liking[visitor, article]))
    pd.DataFrame(log(SHOWN, 35, visitor, article) | {
        "device": random.choice(["phone", "laptop"], SHOWN), "clicked": clicks.astype(int)}).to_parquet(
            folder / "impressions.parquet")
    pd.DataFrame({"article": np.arange(ARTICLES) + 1000, "section": [f"section {taste}" for taste in
                                                                   articles.argmax(axis=1)]}).to_parquet(
        folder / "items.parquet")
    return folder
