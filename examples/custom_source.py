"""A source of your own for the Beam jobs: a dataset from an SQLite database.

Shows: the entry point ``tfrs_pretrain.sources`` of the package ``examples/own_package``, whose 50 lines read a table of
any database in parts. Copy it to read from what you have.
Time: about 15 seconds on two CPU cores.
Expect: the same numbers of rows as in the database, and an error of one line if you misspell the table's name below.

    pip install examples/own_package
    python examples/custom_source.py
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pandas as pd
from small_shop import CONFIG, FOLDER, write_logs

import tfrs_pretrain as tp


def main(folder: Path = FOLDER) -> tp.Dataset:
    """Copy the logs into a database, build a dataset from it, and return the dataset."""
    logs, path = write_logs(folder / "logs"), folder / "shop.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        for name in ("engagements", "impressions"):
            table = pd.read_parquet(logs / f"{name}.parquet")
            table.assign(at=table["at"].astype(str)).to_sql(name, database, index=False, if_exists="replace")
    sources = {name: {"format": "sqlite", "path": str(path.resolve()), "settings": {"table": name}}
               for name in ("engagements", "impressions")}
    config = CONFIG | {"dataset": CONFIG["dataset"] | {"sources": sources}}
    dataset = tp.build_dataset(config, logs, folder / "from_database", overwrite=True)
    for name, counts in dataset.info["counts"].items():
        print(f"{name}: {counts['read']:,} rows read, {counts['written']:,} written")
    print("read by", ", ".join(f"{each['package']} {each['version']}" for each in dataset.info["own_code"]))
    return dataset


if __name__ == "__main__":
    main()
