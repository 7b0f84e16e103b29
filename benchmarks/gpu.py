"""Measures Stage I on GPUs: pairs per second and device memory, on one replica and on all replicas.

    python benchmarks/gpu.py [--json FILE] [--rounds 30]

Without a GPU it reports so and measures nothing. The global batch grows with the replicas (weak scaling).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import contenders
import tensorflow as tf
from stage_one import DIM, USERS, batches, on, probability, replica_step
from timing import interleaved

PER_REPLICA = (4096, 16384, 65536)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        print("no GPU: TensorFlow sees none on this machine (extra `gpu` brings the CUDA libraries), so nothing was "
              "measured")
        if options.json:
            options.json.write_text(json.dumps({"gpus": 0}) + "\n")
        sys.exit(0)
    strategy = tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])
    strategies = {1: tf.distribute.OneDeviceStrategy(gpus[0].name), len(gpus): strategy}
    result: dict[str, float] = {"gpus": len(gpus)}
    for size in PER_REPLICA:
        for replicas, placed in strategies.items():
            with placed.scope():
                model = contenders.build_ours(USERS, DIM, probability())
            run = on(replica_step(placed, model, size), batches(4, size * replicas, USERS))
            tf.config.experimental.reset_memory_stats("GPU:0")
            seconds = interleaved({"ours": run}, rounds=options.rounds, warmup=5)["ours"]
            name = f"b{size}_x{replicas}"
            result[f"pairs_per_second_{name}"] = size * replicas / seconds
            result[f"peak_gib_{name}"] = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30
        one = result[f"pairs_per_second_b{size}_x1"]
        result[f"scaling_b{size}"] = result[f"pairs_per_second_b{size}_x{len(gpus)}"] / one / len(gpus)
    for name, value in result.items():
        print(f"{name:32}{value:16,.2f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
