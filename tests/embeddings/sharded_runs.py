"""Runs with sharded tables and tables in host memory on the given number of replicas, in a process of their own.

Arguments: number of logical CPUs, dataset, folder of the results. The folder contains embeddings for Stage II, and the
checkpoints of a ranker on one device.
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
from tfrs_pretrain.embeddings import host, placement, sharded
from tfrs_pretrain.embeddings.host import HOST
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.placement import REPLICATED
from tfrs_pretrain.embeddings.replicas import replica_copies
from tfrs_pretrain.embeddings.sharded import Sharded
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.training.checkpoint import Checkpoints
from tfrs_pretrain.training.strategy import build_strategy

ROWS, DIM, STEPS, BATCH, BLOCK_ROWS = 11, 3, 3, 16, 5
OPTIMIZERS = {"adagrad": make_optimizer("adagrad"), "rowwise_adagrad": make_optimizer("rowwise_adagrad", l2=0.1),
              "lazy_adam": make_optimizer("lazy_adam", l2=0.1, interval_decay=0.2)}
# Everything that reads or writes tables: pretrained rows with rates by row, a teacher, an anchor, groups of tables.
ARM = {"transfer": {"kind": "warm_start", "evidence": 5.0}, "epochs": 2, "anchor": {"weight": 0.5},
       "distillation": {"teacher": {"hidden": [8]}}, "meda": {"kind": "continual", "chunks": 2},
       "early_stopping": {"patience": 9}}


def configured(replicas, placement="replicated", **sections):
    """A run on the planted logs on that many replicas."""
    training = {"strategy": "mirrored" if replicas > 1 else "one_device", "logical_cpus": replicas,
                "placement": placement, "checkpoint_every_steps": 5}
    tree = planted.planted_config(training=training, **sections)
    slow = {"learning_rate": 0.002}  # so that rounding does not grow
    return Config.model_validate(tree | {
        "pretraining": tree["pretraining"] | slow | {"epochs": 2},
        "ranking": tree["ranking"] | slow | {"table_learning_rate": 0.002, "batch_size": 512,
                                             "arms": tree["ranking"]["arms"] | {"everything": ARM}}})


@contextlib.contextmanager
def copied_after(saves, output):
    """Copy what a run would leave if it were killed after that many checkpoints, as if ``output`` were its output."""
    save, count = Checkpoints.save, 0

    def save_and_copy(self, *arguments):
        nonlocal count
        save(self, *arguments)
        count += 1
        if count == saves:
            for folder in self.folder.parent.glob(f"{self.folder.stem}.*"):
                shutil.copytree(folder, output.with_name(f"{output.name}{folder.suffix}"))

    with mock.patch.object(Checkpoints, "save", save_and_copy):
        yield


def batches():
    """ids [STEPS, BATCH] with repetitions and padding, a row scale per row, and shared ids of varying number."""
    random = np.random.default_rng(4)
    return (random.integers(-1, ROWS, (STEPS, BATCH)), random.uniform(0.5, 2, ROWS).astype(np.float32),
            [random.permutation(ROWS)[:size] for size in (3, ROWS, 1)])


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
        table.apply_gradients(own, gradients, 0.1, padded=True, active=number != 1, row_scales=row_scales)
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


def stage_two(config, dataset, output, embeddings):
    """Train the ranker with everything that reads or writes tables."""
    train_arm(config, dataset, "everything", output, embeddings=embeddings)


def main(replicas, dataset, folder):
    replicas, folder, dataset = int(replicas), Path(folder), Dataset.open(dataset)
    strategy = build_strategy(TrainingConfig(logical_cpus=replicas))
    with contextlib.ExitStack() as stack:
        for module in (placement, sharded, host):
            stack.enter_context(mock.patch.object(module, "BLOCK_ROWS", BLOCK_ROWS))
        np.savez(folder / f"{replicas}.npz", **all_updates(strategy, Sharded(replicas)))
        np.savez(folder / f"{replicas} host.npz", **all_updates(strategy, HOST))
    if replicas == 4:
        return
    np.savez(folder / "2 copies.npz", **updates(strategy, REPLICATED, OPTIMIZERS["lazy_adam"]))
    with copied_after(3, folder / "embeddings resumed"):
        pretrain(configured(2, "sharded"), dataset, folder / "embeddings sharded")
    shutil.copytree(folder / "embeddings resumed.checkpoints", folder / "embeddings from two.checkpoints")
    pretrain(configured(2, "sharded"), dataset, folder / "embeddings resumed")
    stage_two(configured(2, {"user": "sharded", "item": "host"}), dataset, folder / "ranker from one",
              folder / "embeddings")


if __name__ == "__main__":
    main(*sys.argv[1:])
