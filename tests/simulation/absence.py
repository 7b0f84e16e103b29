"""Absence after forget, by a naive look at every file of a shop: no code of the product decides what is searched."""

import numpy as np
import pyarrow.parquet as pq
from naive_shop import SPACES
from shop import OOV
from training_stages import records

from tfrs_pretrain.data.dataset import Dataset


def find_ids(world):
    """Yields (file, place) of each forgotten id that has not come back."""
    ids = {value for space in SPACES for value in world.forgotten[space]}
    if not ids:
        return
    texts = [str(value).encode() for value in ids]
    texts += [value.to_bytes(8, "little") for value in ids if isinstance(value, int)]
    for path in sorted(world.shop.root.rglob("*")):
        if not path.is_file() or "withdrawn" in path.parts:
            continue
        if path.suffix == ".parquet":
            found = ids & set(_values(pq.read_table(path)))
        else:
            data = path.read_bytes()
            found = {text for text in texts if text in data}
        if found:
            yield path, sorted(map(str, found))
    for run in world.generations.values():
        yield from _find_rows(world, run)


def _values(table):
    for column in table.columns:
        values = column.to_pylist()
        for value in values:
            yield from value if isinstance(value, list) else [value]


def _find_rows(world, run):
    """Rows of forgotten ids in tables and records of a run."""
    embeddings = world.folder("embeddings", run.number)
    for space in SPACES:
        tables = [("embeddings", embeddings / space / "rows.npy"), ("embeddings", embeddings / space / "trained.npy"),
                  ("ranker", world.folder("ranker", run.number) / "tables" / f"{space}.npy")]
        for path, rows in [(path, _rows(run.zero_rows[stage, space], space)) for stage, path in tables] + [
                (path, _rows(run.newly_free.get(space, ()), space)) for path in
                embeddings.with_name(f"{embeddings.name}.checkpoints").glob(f"step-*/*-{space}_*.npy")]:
            if path.is_file() and np.load(path)[rows].any():
                yield path, f"rows {rows} of {space} are not zero"
        rows = _rows(run.zero_rows["dataset", space], space)
        if not len(rows):
            continue
        dataset = Dataset.open(world.folder("dataset", run.number))
        pairs = records(dataset, "pairs/train")["query" if space == "user" else "candidate"].to_numpy()
        if np.isin(pairs, rows).any():
            yield dataset.folder, f"pairs of rows {rows} of {space}"
        for split in ("impressions/train", "impressions/validation") if space == "item" else ():
            lists = records(dataset, split)["history"].to_pylist()
            if set(rows.tolist()) & {row for history in lists for row in history}:
                yield dataset.folder, f"{split}: histories with rows {rows}"


def _rows(positions, space):
    return np.array(sorted(position + OOV[space] for position in positions), np.int64)
