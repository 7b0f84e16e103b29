"""Measures sharded tables and tables in host memory against a copy on each replica: memory, and seconds of a step.

The replicas are logical CPUs of this process, so the growth of its resident memory, divided by their number, is the
memory of a device; with tables in host memory, the growth is that of the host. The placements take turns with a step
of Stage I.

    python benchmarks/sharded_tables.py --json sharded_tables.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from timing import interleaved

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.host import HOST
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.placement import REPLICATED
from tfrs_pretrain.embeddings.sharded import Sharded
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix
from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax
from tfrs_pretrain.pretraining.two_tower import TwoTower
from tfrs_pretrain.training.schedules import make_schedule
from tfrs_pretrain.training.strategy import build_strategy

PLACEMENTS = ("replicated", "sharded", "host")
USERS, ITEMS, DIM, BATCH = 1_000_000, 100_000, 64, 4096


def popularity() -> np.ndarray:
    """Returns float64 [ITEMS], Zipf popularity."""
    weights = 1.0 / np.arange(1, ITEMS + 1) ** 1.1
    return weights / weights.sum()


def build_model(placement: str, replicas: int) -> TwoTower:
    """Creates the two towers with lazy Adam; call it inside ``strategy.scope()``."""
    placed = {"sharded": Sharded(replicas), "host": HOST, "replicated": REPLICATED}[placement]
    tables = (EmbeddingTable(name, normal_matrix(rows, DIM, 0.05, rows), make_optimizer("lazy_adam"), placement=placed)
              for name, rows in (("user", USERS), ("item", ITEMS)))
    task = InBatchSoftmax(temperature=0.05, normalize=True, remove_accidental_hits=True)
    return TwoTower(*tables, task, popularity(), make_schedule("constant", 0.01, steps=1000))


def replica_step(strategy: tf.distribute.Strategy, model: TwoTower) -> Callable[[int], None]:
    """Builds a step in which each replica takes its part of a batch of random pairs."""
    size = BATCH // strategy.num_replicas_in_sync
    generator, probability = np.random.default_rng(1), popularity()
    users = [generator.integers(0, USERS, BATCH, dtype=np.int32) for _ in range(8)]
    items = [generator.choice(ITEMS, BATCH, p=probability).astype(np.int32) for _ in range(8)]

    @tf.function(autograph=False)
    def run(user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        def part() -> tf.Tensor:
            start = tf.distribute.get_replica_context().replica_id_in_sync_group * size
            return model.train_step({"query": tf.ensure_shape(user[start:start + size], [size]),
                                     "candidate": tf.ensure_shape(item[start:start + size], [size])})["loss"]
        return strategy.reduce("MEAN", strategy.run(part), axis=None)

    return lambda number: run(tf.constant(users[number % 8]), tf.constant(items[number % 8])).numpy()


def resident_bytes() -> int:
    """Returns the memory that this process holds now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory_growth(placement: str, replicas: int) -> float:
    """Returns bytes after some steps: the growth of resident memory over the start of the process."""
    strategy = build_strategy(TrainingConfig(logical_cpus=replicas))
    before = resident_bytes()
    with strategy.scope():
        model = build_model(placement, replicas)
    step = replica_step(strategy, model)
    for number in range(3):
        step(number)
    return resident_bytes() - before


def step_seconds(replicas: int, rounds: int) -> dict[str, float]:
    """Returns placement -> median seconds of a step."""
    strategy = build_strategy(TrainingConfig(logical_cpus=replicas))
    with strategy.scope():
        models = {name: build_model(name, replicas) for name in PLACEMENTS if replicas > 1 or name != "sharded"}
    return interleaved({name: replica_step(strategy, model) for name, model in models.items()}, rounds=rounds)


def in_own_process(*arguments: str) -> dict[str, float]:
    """Runs one part in a new process and returns what it printed last."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True,
                          env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(rounds: int) -> dict[str, float]:
    """Returns all figures."""
    memory = {name: in_own_process("--part", f"memory-{name}")["bytes"] for name in PLACEMENTS}
    one, two = (in_own_process("--part", f"steps-{replicas}", "--rounds", str(rounds)) for replicas in (1, 2))
    return {"memory_per_device_ratio": memory["sharded"] / memory["replicated"],
            "sharded_step_over_replicated": two["sharded"] / two["replicated"],
            "host_step_over_replicated": two["host"] / two["replicated"],
            "host_step_over_replicated_on_one_device": one["host"] / one["replicated"],
            **{f"bytes_per_device_{name}": memory[name] / 4 for name in ("replicated", "sharded")},
            "bytes_on_the_host": memory["host"],
            **{f"step_seconds_{name}": value for name, value in two.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--rounds", type=int, default=60, help="turns of each placement")
    parser.add_argument("--part", choices=(
        *(f"memory-{name}" for name in PLACEMENTS), "steps-1", "steps-2"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    kind, _, name = (options.part or "").partition("-")
    if kind == "steps":
        print(json.dumps(step_seconds(int(name), options.rounds)))
    elif kind:
        print(json.dumps({"bytes": memory_growth(name, 4)}))
    else:
        figures = measured(options.rounds)
        print("\n".join(f"{name}: {value:.4g}" for name, value in figures.items()))
        if options.json:
            options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
