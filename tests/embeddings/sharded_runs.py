"""Runs with sharded tables on the given number of replicas, in a process of their own.

Arguments: number of logical CPUs, dataset, folder of the results. The folder contains ``one.checkpoints``, which a run on
one device left.
"""

import contextlib
import shutil
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import planted
import tensorflow as tf

from tfrs_pretrain.config import Config, TrainingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.replicas import replica_copies
from tfrs_pretrain.embeddings.sharded import Sharded
from tfrs_pretrain.embeddings.sparse_optimizer import NoUpdate
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.training.checkpoint import Checkpoints
from tfrs_pretrain.training.strategy import build_strategy

ROWS, DIM, STEPS, BATCH = 11, 3, 5, 16
OPTIMIZERS = {f"{name}{suffix}": make_optimizer(name, **options)
              for name in ("lazy_adam", "adagrad", "rowwise_adagrad")
              for suffix, options in (("", {}), (" regularized", {"l2": 0.1, "interval_decay": 0.2}))} | {
                  "none": NoUpdate()}


class Interrupted(Exception):
    """The process would have been killed here."""


def configured(replicas, placement="replicated", **sections):
    """Stage I of the planted logs on that many replicas."""
    training = {"strategy": "mirrored" if replicas > 1 else "one_device", "logical_cpus": replicas,
                "placement": placement, "checkpoint_every_steps": 5}
    tree = planted.planted_config(training=training, **sections)
    return Config.model_validate(tree | {"pretraining": tree["pretraining"] | {"epochs": 2, "learning_rate": 0.002}})


@contextlib.contextmanager
def interrupted_after(saves):
    """End the run after it has written that many checkpoints."""
    save, count = Checkpoints.save, 0

    def save_and_stop(self, *arguments):
        nonlocal count
        save(self, *arguments)
        count += 1
        if count == saves:
            raise Interrupted

    with mock.patch.object(Checkpoints, "save", save_and_stop), contextlib.suppress(Interrupted):
        yield


def batches():
    """ids [STEPS, BATCH] with repetitions and padding, a row scale per row, and shared ids of varying number."""
    random = np.random.default_rng(4)
    return (random.integers(-1, ROWS, (STEPS, BATCH)), random.uniform(0.5, 2, ROWS).astype(np.float32),
            [random.permutation(ROWS)[:size] for size in (3, 7, 1, ROWS, 2)])


def updates(strategy, placement, optimizer):
    """Update a table in every way; rows that the replicas read, and all arrays of the table."""
    ids, scales, shared = batches()
    with strategy.scope():
        table = EmbeddingTable("t", np.random.default_rng(3).standard_normal((ROWS, DIM)), optimizer,
                               placement=placement)
        row_scales = placement.variable("scales", scales)

    def step(number, shared_ids):
        context = tf.distribute.get_replica_context()
        part = BATCH // context.num_replicas_in_sync
        start = context.replica_id_in_sync_group * part
        own = tf.ensure_shape(tf.constant(ids)[number, start:start + part], [part])
        rows = table.gather(tf.reshape(tf.maximum(own, 0), [2, -1]))
        gradients = tf.sin(tf.cast(own, tf.float32)[:, None] + tf.range(3.0)) + tf.reshape(rows, [-1, DIM])
        table.apply_gradients(own, gradients, 0.1, padded=True, active=number != 2, row_scales=row_scales)
        shared_rows = table.gather_shared(shared_ids, ROWS)
        table.apply_summed_gradients(shared_ids, tf.cos(shared_rows), 0.1)
        return tf.reshape(rows, [-1, DIM]), shared_rows

    run = tf.function(lambda *arguments: strategy.run(step, args=arguments), autograph=False,
                      input_signature=[tf.TensorSpec([], tf.int32), tf.TensorSpec([None], tf.int64)])
    found = {}
    for number, shared_ids in enumerate(shared):
        rows, shared_rows = map(strategy.experimental_local_results, run(number, shared_ids))
        found |= {f"read/{number}": np.concatenate(rows), f"shared/{number}": shared_rows[-1].numpy()}
    found |= {placed.name: placed.numpy() for placed in table.placed_variables}
    return found | {f"copies/{number}": copy.numpy() for number, copy in enumerate(replica_copies(table.weights))}


def all_updates(strategy, placement):
    return {f"{name}/{key}": value for name, optimizer in OPTIMIZERS.items()
            for key, value in updates(strategy, placement, optimizer).items()}


def stage_one(replicas, dataset, folder):
    """Stage I: whole with both placements, interrupted and resumed, and resumed from one device."""
    for placement in ("replicated", "sharded"):
        pretrain(configured(replicas, placement), dataset, folder / f"{replicas} {placement}")
    name = f"{replicas} resumed"
    with interrupted_after(3):
        pretrain(configured(replicas, "sharded"), dataset, folder / name)
    shutil.copytree(folder / f"{name}.checkpoints", folder / f"one from {replicas}.checkpoints")
    pretrain(configured(replicas, "sharded"), dataset, folder / name)
    shutil.copytree(folder / "one.checkpoints", folder / f"{replicas} from one.checkpoints")
    pretrain(configured(replicas, {"item": "sharded"}), dataset, folder / f"{replicas} from one")


def main(replicas, dataset, folder):
    replicas, folder = int(replicas), Path(folder)
    strategy = build_strategy(TrainingConfig(logical_cpus=replicas))
    np.savez(folder / f"{replicas}.npz", **all_updates(strategy, Sharded(replicas)))
    if replicas == 2:
        stage_one(replicas, Dataset.open(dataset), folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
