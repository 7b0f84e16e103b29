"""A hand-made embeddings artifact with integer users, string items, shared rows and a free row."""

import numpy as np
import pyarrow as pa

from tfrs_pretrain.config import Window
from tfrs_pretrain.embeddings.artifact import save_embeddings
from tfrs_pretrain.vocabulary import Vocabulary

USERS = Vocabulary(pa.array([5, -9, 7, 2**40], pa.int64()), np.array([6, 3, 2, 1]), oov_rows=3)
ITEMS = Vocabulary(pa.array(["é", None, "b", "", "cc"]), np.array([4, 0, 3, 2, 0]), oov_rows=2)
TABLES = {"user": np.random.default_rng(1).standard_normal((7, 3)).astype(np.float32),
          "item": np.random.default_rng(2).standard_normal((7, 3)).astype(np.float32)}


def save_rows(folder, *, normalize=True, item=ITEMS):
    """Writes the artifact and returns its folder; ``item`` is the vocabulary of its items."""
    objective = {"kind": "softmax", "temperature": 0.1, "normalize": normalize}
    manifest = {"window": Window(start=1, end=31).model_dump(mode="json"), "seconds": 2.0, "kept_epoch": 1,
                "config": {"pretraining": {"dim": 3, "epochs": 1, "batch_size": 8, "objective": objective}},
                "epochs": [{"epoch": 0, "heldout_loss": 3.0}, {"epoch": 1, "heldout_loss": 2.5}]}
    save_embeddings(folder, TABLES, {"user": USERS, "item": item}, manifest, overwrite=False)
    return folder
