"""A trained ranker and its dataset as if a later window had changed some ids and rows."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from resealed import reseal, rewrite

from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.vocabulary import Vocabulary


def rare_ids(dataset):
    """Positions in the item vocabulary that no golden impression has."""
    golden = set(pq.read_table(dataset.folder / "golden.parquet")["item_id"].to_pylist())
    return [position for position, item in enumerate(dataset.vocabulary("item").ids.to_pylist()) if item not in golden]


def evolve(dataset, ranker, folder, *, replace=None, append=(), rows=None, dense=False):
    """Copies dataset and ranker with changes.

    Args:
      dataset: open dataset.
      ranker: folder of the ranker.
      folder: folder for both copies.
      replace: position in the item vocabulary -> another id, which takes over the row; None: the row is free.
      append: new items.
      rows: table -> {row: values} to overwrite; rows of new and replaced ids get values of their own.
      dense: changes a bias of the network too.

    Returns:
      The dataset and the folder of the ranker.
    """
    shutil.copytree(dataset.folder, folder / "dataset")
    shutil.copytree(ranker, folder / "ranker")
    before = dataset.vocabulary("item")
    ids = before.ids.to_pylist()
    for position, item in (replace or {}).items():
        ids[position] = item
    ids += append
    counts = np.array([item is not None for item in ids], np.int64)
    later = Vocabulary(pa.array(ids, pa.string()), counts, before.oov_rows)
    later.save(folder / "dataset/vocabulary/item.parquet")
    later.id_lookup.save(folder / "dataset/vocabulary/item.lookup.arrow")
    info = json.loads((folder / "dataset/dataset_info.json").read_text())
    info["vocabularies"]["item"] |= {"digest": later.digest, "rows": later.num_rows}
    rewrite(folder / "dataset/dataset_info.json", info)
    reseal(folder / "dataset")
    random = np.random.default_rng(len(ids))
    manifest = json.loads((folder / "ranker/manifest.json").read_text())
    for name in [table["table"] for table in manifest["inputs"]["rows"]]:
        values = np.load(folder / f"ranker/tables/{name}.npy")
        if name == "item":
            values = np.concatenate([values, random.normal(size=(len(append), values.shape[1])).astype(np.float32)])
            for position in replace or {}:
                values[position + before.oov_rows] = random.normal(size=values.shape[1])
        for row, changed in (rows or {}).get(name, {}).items():
            values[row] = changed
        np.save(folder / f"ranker/tables/{name}.npy", values)
    manifest["vocabularies"]["item"] = later.digest
    rewrite(folder / "ranker/manifest.json", manifest)
    reseal(folder / "ranker")
    opened = Dataset.open(folder / "dataset")
    if dense:
        network = load_ranker(folder / "ranker", opened).network
        network.set_weights([weight + np.float32(0.01) * (number == 1)
                             for number, weight in enumerate(network.get_weights())])
        network.save(folder / "ranker/network.keras")
        reseal(folder / "ranker")
    read_manifest(folder / "ranker", "ranker")
    return opened, folder / "ranker"
