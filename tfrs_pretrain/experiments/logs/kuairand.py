"""KuaiRand-Pure (Gao et al., "KuaiRand", CIKM 2022, arXiv 2208.08696) as logs: watched history, and clicks.

Engagements are what users watched to the end before the impressions begin; the label of an impression is the click.
Every other outcome of an impression is left out: none may become an input.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tfrs_pretrain.artifact_names import LOGS_KIND
from tfrs_pretrain.artifacts import staged_folder, write_manifest
from tfrs_pretrain.errors import UserError

FILES = ("history.parquet", "impressions.parquet", "items.parquet", "users.parquet")
BEFORE = 20220424  # a day for all of the history, whose own times only keep the order within a user


def write_logs(data: Path, output: Path, overwrite: bool = False) -> None:
    """Writes the four input tables of the Beam jobs as Parquet, and a manifest.

    Args:
      data: folder of KuaiRand-Pure as four Parquet files, see ``FILES``.
      output: folder to write.
      overwrite: replace what the folder holds.

    Raises:
      UserError: a file of the data is not there, or the output folder holds something.
    """
    missing = [name for name in FILES if not (data / name).is_file()]
    if missing:
        raise UserError(f"--data {str(data)!r}: expected {', '.join(FILES)}, found no {missing[0]}")
    tables = {"engagements": _engagements(data), "impressions": _impressions(data), "items": _items(data),
              "users": _users(data)}
    with staged_folder(output, overwrite=overwrite) as folder:
        for name, table in tables.items():
            table.to_parquet(folder / f"{name}.parquet", index=False)
        write_manifest(folder, LOGS_KIND, {"rows": {name: len(table) for name, table in tables.items()}})


def _engagements(data: Path) -> pd.DataFrame:
    history = pd.read_parquet(data / "history.parquet").query("long_watch == 1")
    return history[["user_id", "item_id", "timestamp"]].assign(date=BEFORE)


def _impressions(data: Path) -> pd.DataFrame:
    columns = ["user_id", "item_id", "timestamp", "date", "hourmin", "tab", "is_click"]
    impressions = pd.read_parquet(data / "impressions.parquet", columns=columns)
    return impressions.assign(hour=impressions["hourmin"].astype("int64") // 100).drop(columns="hourmin")


def _items(data: Path) -> pd.DataFrame:
    items = pd.read_parquet(data / "items.parquet")
    return items.assign(log_duration=np.log1p(items["video_duration"].astype("float64") / 1e3).astype("float32"),
                        music_type=items["music_type"].fillna(-1).astype("int64"))


def _users(data: Path) -> pd.DataFrame:
    users = pd.read_parquet(data / "users.parquet")
    coded = [name for name in users.columns if name.startswith("onehot_feat")]
    return users.assign(**{name: users[name].fillna(-1).astype("int64") for name in coded})
