"""Pretrained rows in a plain Keras model: a tutorial's ranking model with and without them.

Shows: the model of the ranking tutorials of TensorFlow Recommenders and Keras RS, an embedding of the user, one of the
item, and three dense layers, trained by Adagrad. Only the line that makes the embeddings differs between the two arms.
The tutorials predict star ratings with squared error; the demo's log has purchases, so the loss is binary
cross-entropy. Each arm is trained for five epochs, the epoch is chosen on validation, and the test weeks are scored
once.
Time: seven minutes on two CPU cores for three seeds of both arms.
Expect: test AUC and log loss of both arms, seed by seed, and their differences: about .85 without and .883 with
pretrained rows.

    tfrs-pretrain demo-logs --output runs/tutorial/logs
    tfrs-pretrain dataset --raw runs/tutorial/logs --output runs/tutorial/dataset
    tfrs-pretrain pretrain --dataset runs/tutorial/dataset --output runs/tutorial/embeddings
    python examples/ranking_tutorial.py --logs runs/tutorial/logs --embeddings runs/tutorial/embeddings
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd

import tfrs_pretrain as tp

DIM, EPOCHS, BATCH_SIZE, LEARNING_RATE = 64, 5, 1024, 0.1
Layers = Callable[[str], keras.Layer]  # "user" or "item" -> a layer from raw ids [batch] to vectors [batch, dim]


@dataclasses.dataclass
class Impressions:
    """Impressions of one window: raw ids by input name, and labels."""

    ids: dict[str, np.ndarray]
    labels: np.ndarray


def main() -> None:
    """Trains both arms with each seed and prints a line for each, then means and differences."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--logs", type=Path, required=True, help="folder with impressions.parquet")
    options.add_argument("--embeddings", type=Path, required=True, help="pretrained rows")
    options.add_argument("--config", default="completejourney", help="configuration with columns and windows")
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = options.parse_args()
    config = tp.load_config(given.config)
    train, validation, test = (read(given.logs, config, name) for name in ("train", "validation", "test"))
    rows = tp.Embeddings.open(given.embeddings)
    arms: dict[str, Layers] = {
        "tutorial": lambda name: own_embedding(train.ids[name]),
        "with pretrained rows": lambda name: rows.to_keras(name, trainable=True)}
    scores = {arm: [] for arm in arms}
    for seed in given.seeds:
        for arm, layers in arms.items():
            keras.utils.set_random_seed(seed)
            auc, loss, epoch = fit(tutorial_model(layers, train), train, validation, test)
            scores[arm].append((auc, loss))
            print(f"{arm}, seed {seed}: epoch {epoch}, test AUC {auc:.4f}, log loss {loss:.4f}", flush=True)
    for arm, found in scores.items():
        print(f"{arm}: mean of {len(found)} seeds: test AUC {np.mean(found, axis=0)[0]:.4f}, log loss "
              f"{np.mean(found, axis=0)[1]:.4f}")
    differences = np.subtract(scores["with pretrained rows"], scores["tutorial"])
    print(f"difference by seed: AUC {np.round(differences[:, 0], 4)}, log loss {np.round(differences[:, 1], 4)}")


def tutorial_model(layers: Layers, train: Impressions) -> keras.Model:
    """Builds the network on one layer for each kind of id."""
    inputs = {name: keras.Input((), name=name, dtype="string" if ids.dtype == object else "int64")
              for name, ids in train.ids.items()}
    hidden = keras.layers.concatenate([layers(name)(given) for name, given in inputs.items()])
    for units in (256, 64):
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


def own_embedding(ids: np.ndarray) -> keras.Layer:
    """The tutorial's own line: a lookup of the training ids, and random vectors to be trained."""
    lookup = keras.layers.StringLookup if ids.dtype == object else keras.layers.IntegerLookup
    known = pd.unique(ids)
    return keras.Sequential([lookup(vocabulary=known), keras.layers.Embedding(len(known) + 1, DIM)])


def fit(model: keras.Model, train: Impressions, validation: Impressions, test: Impressions) -> tuple[float, float, int]:
    """Trains, and returns test AUC, test log loss and the epoch with the smallest validation log loss."""
    model.compile(keras.optimizers.Adagrad(LEARNING_RATE), keras.losses.BinaryCrossentropy(from_logits=True))
    best = (np.inf, 0, model.get_weights())
    for epoch in range(1, EPOCHS + 1):
        model.fit(train.ids, train.labels, batch_size=BATCH_SIZE, verbose=0)
        loss = log_loss(validation.labels, predict(model, validation))
        if loss < best[0]:
            best = (loss, epoch, model.get_weights())
    model.set_weights(best[2])
    logits = predict(model, test)
    return auc(test.labels, logits), log_loss(test.labels, logits), best[1]


def predict(model: keras.Model, impressions: Impressions) -> np.ndarray:
    """Returns logits, float64 [impressions]."""
    return model.predict(impressions.ids, batch_size=1 << 14, verbose=0)[:, 0].astype(np.float64)


def read(logs: Path, config: tp.Config, window: str) -> Impressions:
    """Reads the impressions of a window."""
    schema, bounds = config.schema_, getattr(config.windows, window).bounds
    names = {"user": schema.user.column, "item": schema.item.column}
    table = pd.read_parquet(logs / "impressions.parquet", columns=[*names.values(), schema.label, schema.window])
    table = table[table[schema.window].between(*bounds, inclusive="left")]
    ids = {side: table[name].to_numpy(np.int64 if table[name].dtype.kind in "iu" else object)
           for side, name in names.items()}
    return Impressions(ids, table[schema.label].to_numpy(np.float32))


def log_loss(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean binary cross-entropy."""
    return float(np.mean(np.logaddexp(0.0, logits) - labels * logits))


def auc(labels: np.ndarray, logits: np.ndarray) -> float:
    """Share of pairs of a positive and a negative in the right order; equal scores count half."""
    ranks = pd.Series(logits).rank().to_numpy()
    positives = labels > 0
    first = positives.sum() * (positives.sum() + 1) / 2
    return float((ranks[positives].sum() - first) / (positives.sum() * (~positives).sum()))


if __name__ == "__main__":
    main()
