"""Imports the modules that are named, in that order, then trains Stage I for two steps.

Prints one line of JSON: the package behind ``tf.keras`` afterwards, the variables of TensorFlow and Keras that changed
in the environment, the SHA-256 of the trained rows. ``tf.keras`` among the names builds a layer with it.
"""

import hashlib
import importlib
import json
import os
import sys

before = dict(os.environ)
for name in sys.argv[1:]:
    if name == "tf.keras":
        importlib.import_module("tensorflow").keras.layers.Dense(1)
    else:
        importlib.import_module(name)

import numpy as np  # noqa: E402  (after what the caller imports first)
import tensorflow as tf  # noqa: E402

from tfrs_pretrain.embeddings.optimizers import make_optimizer  # noqa: E402
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix  # noqa: E402
from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax  # noqa: E402
from tfrs_pretrain.pretraining.two_tower import TwoTower  # noqa: E402
from tfrs_pretrain.training.schedules import make_schedule  # noqa: E402

tables = [EmbeddingTable(side, normal_matrix(9, 4, 0.1, seed), make_optimizer("lazy_adam"))
          for seed, side in enumerate(("user", "item"))]
task = InBatchSoftmax(temperature=0.1, normalize=True, remove_accidental_hits=True)
model = TwoTower(*tables, task, np.full(9, 1 / 9), make_schedule("constant", 0.01, 2))
for first in (0, 3):
    model.train_step({"query": tf.range(first, first + 5), "candidate": tf.range(first, first + 5) % 4})
print(json.dumps({
    "tf.keras": tf.keras.layers.Layer.__module__.partition(".")[0],
    "changed": sorted(name for name in {*before, *os.environ} if name.startswith(("TF_", "KERAS"))
                      and before.get(name) != os.environ.get(name)),
    "rows": hashlib.sha256(b"".join(table.numpy().tobytes() for table in tables)).hexdigest(),
}))
