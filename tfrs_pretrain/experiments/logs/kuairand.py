"""Convert KuaiRand-Pure (Gao et al., "KuaiRand", CIKM 2022, arXiv 2208.08696) into input logs of the Beam jobs.

Engagements are the long watches before the first impression. The label of an impression is the click; its other
outcomes are left out, because they must not become inputs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tfrs_pretrain.artifact_names import LOGS_KIND
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.output_folders import staged_folder

FILES = ("history.parquet", "impressions.parquet", "items.parquet", "users.parquet")
FIRST = "2022-04-01"  # day 0
BEFORE = 20220424  # date of all engagements: the history's timestamps only order the events of a user


def write_logs(data: Path, output: Path, overwrite: bool = False, *, continued: bool = False) -> None:
    """Write the four input tables of the Beam jobs as Parquet files, and a manifest.

    Args:
      data: folder of KuaiRand-Pure as four Parquet files, see ``FILES``.
      output: folder to write.
      overwrite: replace the content of the folder.
      continued: continue the engagements with the long watches of the impressions, for a stream, and add the column
        ``day``, days since FIRST.

    Raises:
      UserError: a file of the data is missing, or the output folder is not empty and ``overwrite`` is false.
    """
    missing = [name for name in FILES if not (data / name).is_file()]
    if missing:
        raise UserError(f"--data {str(data)!r}: expected {', '.join(FILES)}, but {missing[0]} is missing")
    tables = {"engagements": _engagements(data), "impressions": _impressions(data), "items": _items(data),
              "users": _users(data)}
    if continued:
        tables["engagements"] = _with_day(pd.concat([tables["engagements"], _long_watches(data)], ignore_index=True))
        tables["impressions"] = _with_day(tables["impressions"])
    with staged_folder(output, overwrite=overwrite) as folder:
        for name, table in tables.items():
            table.to_parquet(folder / f"{name}.parquet", index=False)
        write_manifest(folder, LOGS_KIND, {"rows": {name: len(table) for name, table in tables.items()}})


def _engagements(data: Path) -> pd.DataFrame:
    history = pd.read_parquet(data / "history.parquet").query("long_watch == 1")
    return history[["user_id", "item_id", "timestamp"]].assign(date=BEFORE)


def _long_watches(data: Path) -> pd.DataFrame:
    columns = ["user_id", "item_id", "timestamp", "date"]
    impressions = pd.read_parquet(data / "impressions.parquet", columns=[*columns, "long_watch"])
    return impressions.query("long_watch == 1")[columns]


def _with_day(log: pd.DataFrame) -> pd.DataFrame:
    days = pd.to_datetime(log["date"].astype(str), format="%Y%m%d") - pd.Timestamp(FIRST)
    return log.assign(day=days.dt.days.astype("int64"))


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
    codes = [name for name in users.columns if name.startswith("onehot_feat")]
    return users.assign(**{name: users[name].fillna(-1).astype("int64") for name in codes})
