"""Impressions, and ranker artifacts that contain nothing but predictions: evaluation reads nothing else."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifacts import write_manifest

USERS, ROWS = 60, 3000
PLACES = ("top", "side", "(unknown)")


def impressions(seed=0, rows=ROWS):
    """Columns of predictions but for the score, and the log-odds that the labels were drawn from."""
    random = np.random.default_rng(seed)
    user, item = random.integers(0, USERS, rows), random.integers(0, 200, rows)
    logits = random.normal(-1.5, 1.0, rows) + np.random.default_rng(1).normal(0, 0.5, USERS)[user]
    columns = {
        "key": random.permutation(10**6)[:rows] - 5, "user_id": [f"ü{number}" for number in user],
        "item_id": item * 7, "user": user, "item": item,
        "label": (random.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.float32),
        "request": user * 1000 + random.integers(0, 8, rows), "user_count": user * (user >= 6),
        "item_count": np.maximum(item - 20, 0),
        "feature.place": pa.DictionaryArray.from_arrays(random.integers(0, 3, rows).astype(np.int32), list(PLACES))}
    return columns, logits


def write_ranker(folder, columns, scores, *, arm="some", dataset_digest="d" * 64, splits=("test",)):
    (folder / "predictions").mkdir(parents=True)
    table = pa.table(columns | {"score": np.asarray(scores, np.float32)})
    for split in splits:
        pq.write_table(table, folder / "predictions" / f"{split}.parquet")
    write_manifest(folder, "ranker", {"arm": arm, "dataset_digest": dataset_digest, "nonce": str(folder)})
    return folder
