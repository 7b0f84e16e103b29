"""Measures the speed of Stage I as ratios to other implementations, which take turns in one process.

    python benchmarks/stage_one.py [--json FILE] [--rounds 15]

1M users, 100k items with Zipf 1.1 popularity, dim 64; every contender computes the same loss (logQ, accidental hits).
keras-rs and PyTorch take part if they are installed (extra ``bench``); the ratio of a missing contender is null. Ratios
are of median step times. ``*_2_replicas`` runs in a separate process, with the CPU split into two devices.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contenders
import numpy as np
import tensorflow as tf
from timing import interleaved

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.data.pairs import shuffled_batches
from tfrs_pretrain.training.strategy import build_strategy

USERS, ITEMS, ZIPF, DIM = 1_000_000, 100_000, 1.1, 64
BATCHES = (1024, 4096, 8192)
GROWTH = (100_000, 4_000_000)
BIG_BATCH = 16384


def probability() -> np.ndarray:
    """Returns Zipf popularity, float64 [ITEMS]."""
    weights = 1.0 / np.arange(1, ITEMS + 1) ** ZIPF
    return weights / weights.sum()


def batches(count: int, size: int, users: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns ``count`` batches of int32 user and item rows."""
    generator, chance = np.random.default_rng(size), probability()
    return [(generator.integers(0, users, size, dtype=np.int32),
             generator.choice(ITEMS, size, p=chance).astype(np.int32)) for _ in range(count)]


def on(step: contenders.Step, data: list[tuple[np.ndarray, np.ndarray]]) -> Callable[[int], None]:
    return lambda number: step(*data[number % len(data)])


def build_peers() -> dict[str, contenders.Step]:
    """Builds the contenders whose library is installed, by name."""
    factories = {"ours": contenders.ours, "tfrs": contenders.tutorial, "keras_rs": contenders.keras_rs,
                 "torch": contenders.torch}
    found = {}
    for name, factory in factories.items():
        try:
            found[name] = factory(USERS, DIM, probability())
        except ImportError as error:
            print(f"{name} takes no part: {error} (install the extra: pip install '.[bench]')")
    return found


def speedups(rounds: int) -> dict[str, float | None]:
    """Returns the peers' step times over this package's, and this package's over the bare products'."""
    peers, out = build_peers(), {}
    for size in BATCHES:
        data = batches(8, size, USERS)
        names = peers if size == 4096 else {name: peers[name] for name in ("ours", "tfrs")}
        runs = {name: on(step, data) for name, step in names.items()}
        if size == 4096:
            runs["gemm_floor"] = on(contenders.gemm_floor(DIM, size), data)
        seconds = interleaved(runs, rounds=rounds)
        unique = np.mean([len(np.unique(item)) for _, item in data])
        print(f"batch {size} ({unique:.0f} unique items): " + " · ".join(
            f"{name} {1e3 * value:.1f} ms" for name, value in seconds.items()), flush=True)
        out |= {f"speedup_over_{name}_b{size}": value / seconds["ours"]
                for name, value in seconds.items() if name not in ("ours", "gemm_floor")}
        out |= {f"examples_per_second_b{size}": size / seconds["ours"]}
        if size == 4096:
            out["gemm_floor_ratio_b4096"] = seconds["ours"] / seconds["gemm_floor"]
    return out


def growth(rounds: int, replicas: int) -> float:
    """Returns step time with 4e6 user rows over step time with 1e5, batch 4096, on ``replicas`` logical CPUs."""
    strategy = build_strategy(TrainingConfig(logical_cpus=replicas))
    runs = {}
    for users in GROWTH:
        with strategy.scope():
            model = contenders.build_ours(users, DIM, probability())
        runs[str(users)] = on(replica_step(strategy, model, 4096 // replicas), batches(8, 4096, users))
    seconds = interleaved(runs, rounds=rounds)
    print(f"{replicas} replica(s), user rows: " + " · ".join(f"{name} {1e3 * value:.1f} ms"
                                                            for name, value in seconds.items()), flush=True)
    return seconds[str(GROWTH[1])] / seconds[str(GROWTH[0])]


def replica_step(strategy: tf.distribute.Strategy, model: Any, size: int) -> contenders.Step:
    """Builds a step in which each replica takes ``size`` pairs of the global batch."""
    @tf.function
    def run(user: tf.Tensor, item: tf.Tensor) -> Any:
        def part() -> tf.Tensor:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            rows = slice(replica * size, (replica + 1) * size)
            return model.train_step({"query": tf.ensure_shape(user[rows], [size]),
                                     "candidate": tf.ensure_shape(item[rows], [size])})["loss"]
        return strategy.reduce("MEAN", strategy.run(part), axis=None)

    return lambda user, item: run(tf.constant(user), tf.constant(item)).numpy()


def big_batch_megabytes() -> float:
    """Returns the growth of peak resident memory when the batch grows from 256 to 16,384 pairs (Linux)."""
    step = contenders.ours(USERS, DIM, probability())
    peaks = []
    for data in (batches(3, 256, USERS), batches(3, BIG_BATCH, USERS)):
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak: building the tables needs more memory
        for batch in data:
            step(*batch)
        lines = Path("/proc/self/status").read_text().splitlines()
        peaks.append(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)
    return peaks[1] - peaks[0]


def pipeline_rate() -> float:
    """Returns pairs per second of the input pipeline alone, in batches of 4,096, from a cached TFRecord file.

    The median of five passes; each pass includes the wait for the first shuffled window.
    """
    generator, pairs, block = np.random.default_rng(1), 1 << 22, 8192
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "pairs.tfrecord")
        with tf.io.TFRecordWriter(path) as writer:
            for _ in range(pairs // block):
                columns = {name: generator.integers(0, rows, block, dtype=np.int32).tobytes()
                           for name, rows in (("query", USERS), ("candidate", ITEMS))}
                writer.write(tf.train.Example(features=tf.train.Features(feature={
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
                    for name, data in columns.items()})).SerializeToString())
        rates = []
        for epoch in range(5):
            start = time.perf_counter()
            batches = shuffled_batches([path], 4096, seed=1, epoch=epoch)
            done = batches.reduce(np.int64(0), lambda total, batch: total + 4096).numpy()
            rates.append(float(done) / (time.perf_counter() - start))
    return statistics.median(rates)


def in_own_process(part: str, rounds: int) -> float | None:
    """Runs one part in a new process and returns its result, or None if it failed."""
    done = subprocess.run([sys.executable, __file__, "--part", part, "--rounds", str(rounds)], capture_output=True,
                          text=True, check=False, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    if done.returncode:
        print(f"{part} failed: {done.stderr[-500:]}")
        return None
    *lines, last = done.stdout.splitlines()
    print("\n".join(lines), flush=True)
    return float(last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the ratios here")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contender")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(PARTS[options.part](options.rounds))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, tensorflow {tf.__version__}; "
          f"medians of {options.rounds} turns, contenders in rotating order")
    result: dict[str, float | None] = dict.fromkeys(("speedup_over_keras_rs_b4096", "speedup_over_torch_b4096"))
    result |= speedups(options.rounds)
    result["step_time_growth_1e5_to_4e6"] = in_own_process("growth_1", options.rounds)
    result["step_time_growth_1e5_to_4e6_2_replicas"] = in_own_process("growth_2", options.rounds)
    result["big_batch_added_megabytes"] = in_own_process("big_batch", options.rounds)
    result["input_pipeline_over_model"] = pipeline_rate() / result["examples_per_second_b4096"]
    for name, value in result.items():
        print(f"{name:45}{'not measured' if value is None else format(value, '.2f'):>14}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


PARTS: dict[str, Callable[[int], float]] = {
    "growth_1": lambda rounds: growth(rounds, 1), "growth_2": lambda rounds: growth(rounds, 2),
    "big_batch": lambda rounds: big_batch_megabytes()}

if __name__ == "__main__":
    main()
