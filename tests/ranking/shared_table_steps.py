"""Trains with histories, multi-valued features and two heads on the given number of logical CPUs.

Arguments: number of logical CPUs, output file.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from replica_steps import copies
from test_shared_tables import make

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.sharded import Sharded
from tfrs_pretrain.progress import progress
from tfrs_pretrain.ranking.distillation.step import label_step
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.strategy import build_strategy

STEPS, BATCH = 6, 32
SETTINGS = {"plain": {}, "sharded": {}, "xla": {"jit_compile": True}, "float16": {"mixed_precision": "mixed_float16"},
        "overflow": {"mixed_precision": "mixed_float16"}}


def columns():
    random = np.random.default_rng(3)
    size = STEPS * BATCH
    found = {"user": random.integers(0, 8, size), "item": random.integers(0, 12, size)}
    for name, length, rows in (("history", 5, 12), ("tags", 3, 6)):
        found[name] = np.where(np.arange(length) < random.integers(0, length + 1, (size, 1)),
                               random.integers(0, rows, (size, length)), -1)
    return found | {name: random.integers(0, 2, size).astype(np.float32) for name in ("label", "follow")}


def placements(strategy):
    """Shards of all tables where there are several replicas."""
    replicas = strategy.num_replicas_in_sync
    return dict.fromkeys(("user", "item", "tags"), Sharded(replicas)) if replicas > 1 else {}


def results(strategy):
    found = {}
    for name, settings in SETTINGS.items():
        with strategy.scope():
            learner = make(Path(), placements(strategy) if name == "sharded" else None, **settings)
            if name == "overflow":
                learner.optimizer.dynamic_scale.assign(2.0**120)
            step = label_step(learner)
        batches = tf.data.Dataset.from_tensors(columns()).rebatch(BATCH, drop_remainder=True)
        with progress("steps") as meter:
            means = run_epoch(strategy, step, batches, steps=STEPS, meter=meter)
        found |= {f"{name}/loss": means["loss"]}
        if name == "sharded":
            found |= {f"sharded/{table}/rows": made.numpy() for table, made in learner.ranker.tables.items()}
            continue
        found |= copies(strategy, {name: learner})
        if name == "overflow":
            found["overflow/scale"] = float(learner.optimizer.dynamic_scale.numpy())
    return found


def main(cpus, output):
    strategy = build_strategy(TrainingConfig(strategy="mirrored", logical_cpus=int(cpus)))
    assert strategy.num_replicas_in_sync == int(cpus)
    np.savez(output, **results(strategy))


if __name__ == "__main__":
    main(*sys.argv[1:])
