"""Trains the two towers a few steps on the requested replicas and saves the tables of every replica.

argv: dataset, number of logical CPUs or "worker" (of TF_CONFIG), output file. Plain gradient descent of rate 1 shows
the gradients as the difference of two tables; Adam would hide a wrong scale.
"""

import dataclasses
import sys
from unittest import mock

import numpy as np
from test_resume import configured

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings import worker_shards
from tfrs_pretrain.embeddings.adam import LazyAdam
from tfrs_pretrain.embeddings.worker_shards import WorkerShards
from tfrs_pretrain.pretraining.build import build_model
from tfrs_pretrain.progress import progress
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.strategy import build_strategy

STEPS, BATCH, READ_ROWS = 20, 64, 20


@dataclasses.dataclass(frozen=True)
class Descent(LazyAdam):
    def update(self, gradients, slots, step, learning_rate):
        return gradients, slots


def pairs(users, items):
    """Zipf items, sorted within each batch so that the replicas have different items."""
    random = np.random.default_rng(5)
    candidate = np.minimum(random.zipf(1.3, (STEPS, BATCH)), items) - 1
    return {"query": random.integers(0, users, STEPS * BATCH).astype(np.int32),
            "candidate": np.sort(candidate, axis=1).ravel().astype(np.int32)}


def copies(strategy, model):
    return {f"{table.name}/{key}/{replica}": copy.numpy()
            for table in (model.users, model.items) for key, variable in (("rows", table.weights), *table.slots.items())
            for replica, copy in enumerate(strategy.experimental_local_results(variable))}


def whole(_, model):
    """The rows of tables that are in other processes too, and some of them in another order, read in a graph."""
    import tensorflow as tf

    read = tf.function(model.users.gather, input_signature=[tf.TensorSpec([None, 2], tf.int64)])
    return {"user": model.users.numpy(), "item": model.items.numpy(),
            **{f"some/{size}": read(tf.reshape(tf.range(2 * size, dtype=tf.int64), [-1, 2])[::-1]).numpy()
               for size in (0, 1, READ_ROWS)}}


def trained(strategy, dataset, optimizer, steps, placement=None, copies=copies):
    """Mean loss, and the tables of every local replica before and after some steps."""
    import tensorflow as tf

    with strategy.scope():
        placements = dict.fromkeys(("user", "item"), placement) if placement else None
        model = build_model(configured(objective={"temperature": 0.1}), dataset, STEPS, placements=placements)
        start = copies(strategy, model)
        model.users.optimizer = model.items.optimizer = optimizer
    columns = pairs(model.users.num_rows, model.items.num_rows)
    data = tf.data.Dataset.from_tensors(columns).rebatch(BATCH, drop_remainder=True)
    with progress("steps") as meter:
        loss = run_epoch(strategy, model.train_step, data, steps=steps, meter=meter)["loss"]
    return loss, start, copies(strategy, model)


def results(strategy, dataset):
    """Losses, gradients and tables, to compare between numbers of replicas."""
    first, start, once = trained(strategy, dataset, Descent(), 1)
    mean, _, tables = trained(strategy, dataset, LazyAdam(), STEPS)
    gradients = {f"gradient/{name}": start[name] - once[name] for name in start if "/rows/" in name}
    return {"first": first, "mean": mean, "replicas": strategy.num_replicas_in_sync, **tables, **gradients}


def sharded_results(strategy, dataset):
    """The loss and the gradients of tables whose rows are dealt over workers, and rows after the step."""
    with mock.patch.object(worker_shards, "READ_ROWS", READ_ROWS):
        first, start, once = trained(strategy, dataset, Descent(), 1, WorkerShards(strategy), whole)
    gradients = {f"sharded/{name}/gradient": start[name] - once[name] for name in ("user", "item")}
    return {"sharded/first": first, **gradients, **{f"sharded/{name}": rows for name, rows in once.items()}}


def main(folder, replicas, output):
    training = (TrainingConfig(strategy="multi_worker") if replicas == "worker" else
                TrainingConfig(strategy="mirrored", logical_cpus=int(replicas)))
    strategy, dataset = build_strategy(training), Dataset.open(folder)
    shards = sharded_results(strategy, dataset) if replicas == "worker" else {}
    np.savez(output, **results(strategy, dataset), **shards)


if __name__ == "__main__":
    main(*sys.argv[1:])
