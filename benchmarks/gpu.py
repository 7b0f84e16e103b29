"""Checks both stages on a GPU against the CPU, and measures them: pairs and impressions per second, and device memory.

    python benchmarks/gpu.py [--json FILE] [--rounds 30] [--only agreement|stage_one|stage_two|scaling] [--device CPU:0]

``agreement`` runs three steps of each variant on the device, twice, and on the CPU. It prints by how much losses and
tables differ, relative to their norms, and whether both runs on the device have the same bits. ``stage_one`` and
``stage_two`` time a step at several batch sizes. ``scaling`` measures Stage I on one GPU and on all of them, with a
global batch that grows with the replicas. Each line is printed when it is known, and the file is written after each
part. Without a GPU nothing is measured, unless ``--device`` names another device, which tries the script out at a small
size.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contenders
import gpu_models
import numpy as np
import tensorflow as tf
from stage_one import DIM, USERS, on, probability, replica_step
from stage_one import batches as pair_batches
from timing import interleaved

from tfrs_pretrain.machine import machine
from tfrs_pretrain.training.strategy import set_seeds

PER_REPLICA = (4096, 16384, 65536)
SIZES = {"stage_one": (8192, 65536), "stage_two": (1024, 16384)}
STAGES = {"stage_one": (gpu_models.stage_one, gpu_models.STAGE_ONE),
          "stage_two": (gpu_models.stage_two, gpu_models.STAGE_TWO)}
PARTS = ("agreement", *STAGES, "scaling")


def first_steps(build: Callable[..., gpu_models.Trainee], variant: str, device: str) -> tuple[list[float], np.ndarray]:
    """Returns the losses of three steps on a device, and all tables after them, flat."""
    with tf.device(device):
        trainee = build(variant, 2000, 500, 3 * 512)
        step = tf.function(trainee.step, autograph=False)
        losses = [float(step(trainee.batch(number, 512))["loss"]) for number in range(3)]
        return losses, np.concatenate([table.numpy().ravel() for table in trainee.tables])


def agreement(device: str) -> dict[str, Any]:
    """Returns the relative difference between device and CPU of each variant, and whether the device repeats itself."""
    found = {}
    for stage, (build, variants) in STAGES.items():
        for variant in variants:
            (losses, tables), again = first_steps(build, variant, device), first_steps(build, variant, device)
            cpu_losses, cpu_tables = first_steps(build, variant, "CPU:0")
            found[f"agreement_{stage}_{variant}"] = say(f"{stage} {variant}", {
                "loss": float(max(abs(np.divide(losses, cpu_losses) - 1))),
                "tables": float(np.linalg.norm(tables - cpu_tables) / np.linalg.norm(cpu_tables)),
                "repeats_bits": losses == again[0] and np.array_equal(tables, again[1])})
    return found


def speed(stage: str, device: str, rounds: int, users: int) -> dict[str, float]:
    """Returns examples per second of each variant and batch size."""
    build, variants = STAGES[stage]
    found = {}
    for variant in variants:
        for size in SIZES[stage] if users == USERS else (256,):
            with tf.device(device):
                trainee = build(variant, users, users // 10, 4 * size)
                seconds = interleaved({variant: _turn(trainee, size)}, rounds=rounds, warmup=3)[variant]
            found[f"{stage}_{variant}_b{size}"] = say(f"{stage} {variant} batch {size}, examples/s", size / seconds)
    return found


def _turn(trainee: gpu_models.Trainee, size: int) -> Callable[[int], Any]:
    """Returns a function that runs one step and waits for its loss."""
    step, batches = tf.function(trainee.step, autograph=False), [trainee.batch(number, size) for number in range(4)]
    return lambda number: step(batches[number % 4])["loss"].numpy()


def scaling(rounds: int) -> dict[str, float]:
    """Returns pairs per second and peak memory of Stage I on one replica and on all."""
    gpus = tf.config.list_logical_devices("GPU")
    strategy = tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])
    strategies = {1: tf.distribute.OneDeviceStrategy(gpus[0].name), len(gpus): strategy}
    result: dict[str, float] = {}
    for size in PER_REPLICA:
        for replicas, placed in strategies.items():
            with placed.scope():
                model = contenders.build_ours(USERS, DIM, probability())
            run = on(replica_step(placed, model, size), pair_batches(4, size * replicas, USERS))
            tf.config.experimental.reset_memory_stats("GPU:0")
            seconds = interleaved({"ours": run}, rounds=rounds, warmup=5)["ours"]
            name = f"b{size}_x{replicas}"
            result[f"pairs_per_second_{name}"] = say(name, size * replicas / seconds)
            result[f"peak_gib_{name}"] = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30
        one = result[f"pairs_per_second_b{size}_x1"]
        result[f"scaling_b{size}"] = result[f"pairs_per_second_b{size}_x{len(gpus)}"] / one / len(gpus)
    return result


def say(name: str, value: Any) -> Any:
    """Prints a figure and returns it."""
    text = f"{value:,.0f}" if isinstance(value, float) else value
    print(f"{name:44} {text}", flush=True)
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--device", help="instead of the first GPU, at a small size")
    options = parser.parse_args()
    gpus = tf.config.list_logical_devices("GPU")
    result: dict[str, Any] = {"gpus": len(gpus), "machine": machine()}
    if not gpus and not options.device:
        print("no GPU: TensorFlow sees none on this machine (extra `gpu` brings the CUDA libraries), so nothing was "
              "measured")
        _write(result, options.json)
        sys.exit(0)
    set_seeds(1, deterministic=True)
    device, users = options.device or "GPU:0", 2000 if options.device else USERS
    for part in options.only or PARTS:
        if part == "agreement":
            result |= agreement(device)
        elif part in STAGES:
            result |= speed(part, device, options.rounds, users)
        elif gpus:
            result |= scaling(options.rounds)
        _write(result, options.json)


def _write(result: dict[str, Any], path: Path | None) -> None:
    if path:
        path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
