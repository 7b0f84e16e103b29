"""Convert the LightGCN split of Gowalla (arXiv 2002.02126) into input logs of the Beam jobs.

The split has visits without times and without impressions. The visits of the part ``train`` become engagements. The
visits of ``valid`` and ``test`` become impressions with label 1; for each, ``NEGATIVES`` places that the user never
visited are drawn by popularity as impressions with label 0. These impressions are derived, not logged.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tfrs_pretrain.artifact_names import LOGS_KIND
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.output_folders import staged_folder

FILES = ("interactions.parquet",)
NEGATIVES = 3
PRETRAIN, TRAIN, VALIDATION, TEST = range(4)  # values of the column ``part``, the window column
VALIDATION_SHARE = 0.2  # of the visits of ``valid``
MAX_TEST_USERS = 6000


def write_logs(data: Path, output: Path, *, seed: int, overwrite: bool = False) -> None:
    """Write engagements, impressions, items and users as Parquet files, and a manifest.

    Args:
      data: folder with ``interactions.parquet``: ``user_id``, ``item_id`` and ``split`` (train, valid, test).
      output: folder to write.
      seed: seed of all draws.
      overwrite: replace the content of the folder.

    Raises:
      UserError: the file is missing or has other columns, or the output folder is not empty and ``overwrite`` is false.
    """
    visits, generator = _visits(data), np.random.default_rng(seed)
    engagements = visits[visits["split"] == "train"][["user_id", "item_id"]].assign(part=PRETRAIN)
    impressions = _impressions(visits, generator)
    ids = {name: pd.DataFrame({column: np.sort(visits[column].unique())})
           for name, column in (("items", "item_id"), ("users", "user_id"))}
    with staged_folder(output, overwrite=overwrite) as folder:
        tables = {"engagements": _ordered(engagements), "impressions": _ordered(impressions), **ids}
        for name, table in tables.items():
            table.to_parquet(folder / f"{name}.parquet", index=False)
        write_manifest(folder, LOGS_KIND, {"rows": {name: len(table) for name, table in tables.items()}, "seed": seed})


def _visits(data: Path) -> pd.DataFrame:
    path = data / FILES[0]
    if not path.is_file():
        raise UserError(f"--data {str(data)!r}: expected {FILES[0]}, but it is missing")
    visits = pd.read_parquet(path)
    missing = [name for name in ("user_id", "item_id", "split") if name not in visits]
    if missing:
        raise UserError(f"--data {str(data)!r}: {FILES[0]} has no column {missing[0]!r}: use the LightGCN split")
    return visits


def _impressions(visits: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """Return the shown places with their labels, in random order."""
    valid, test = (visits[visits["split"] == name] for name in ("valid", "test"))
    held, tested = generator.random(len(valid)) < VALIDATION_SHARE, _some_users(test, generator)
    positives = pd.concat([valid.assign(part=np.where(held, VALIDATION, TRAIN)), tested.assign(part=TEST)])
    negatives = positives.loc[positives.index.repeat(NEGATIVES)].assign(
        item_id=generator.choice(visits["item_id"].to_numpy(), NEGATIVES * len(positives)), label=0)
    known = pd.MultiIndex.from_frame(visits[["user_id", "item_id"]])
    negatives = negatives[~pd.MultiIndex.from_frame(negatives[["user_id", "item_id"]]).isin(known)]
    shown = pd.concat([positives.assign(label=1), negatives])[["user_id", "item_id", "part", "label"]]
    shown = shown.drop_duplicates(["user_id", "item_id"])
    return shown.iloc[generator.permutation(len(shown))]


def _some_users(visits: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    users = visits["user_id"].unique()
    return visits[visits["user_id"].isin(generator.permutation(users)[:MAX_TEST_USERS])]


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Sort by part and number the rows, in place of the times that the data lacks."""
    table = table.sort_values("part", kind="stable")
    return table.assign(position=np.arange(len(table)))
