"""Measures checkpoints of Stage I: full and incremental ones, resuming from them, and what tracking costs in a step.

A table of users with lazy Adam, four million rows by default, and 100,000 items; batches of 4,096 users, uniformly
random, so that a step changes as many rows as it can. Files are written without waiting for the disk, as the trainer
does, and read again from the page cache.

    python benchmarks/checkpoints.py --json checkpoints.json
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import tensorflow as tf
from sharded_tables import resident_bytes
from timing import interleaved_rounds

from tfrs_pretrain import array_files
from tfrs_pretrain.embeddings import artifact
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax
from tfrs_pretrain.pretraining.two_tower import TwoTower
from tfrs_pretrain.row_arrays import NormalRows
from tfrs_pretrain.training.checkpoint import Checkpoints
from tfrs_pretrain.training.schedules import make_schedule
from tfrs_pretrain.vocabulary import Vocabulary

ITEMS, DIM, BATCH, STEPS = 100_000, 64, 4096, (25, 250)
PARTS = ("start", "checkpoint", "restore", "export")
MARKS = 50  # batches in a call, which hide what the call costs


def build_model(users: int) -> TwoTower:
    """Creates the two towers."""
    tables = (EmbeddingTable(name, NormalRows(rows, DIM, 0.05, rows), make_optimizer("lazy_adam"))
              for name, rows in (("user", users), ("item", ITEMS)))
    task = InBatchSoftmax(temperature=0.05, normalize=True, remove_accidental_hits=True)
    return TwoTower(*tables, task, np.full(ITEMS, 1 / ITEMS), make_schedule("constant", 0.01, steps=10_000))


def make_step(model: TwoTower, *, tracked: bool) -> Callable[[int], None]:
    """Builds a step on the batch of a number, compiled with or without tracking of the changed rows."""
    def run(user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        return model.train_step({"query": user, "candidate": item})["loss"]

    compiled = tf.function(run, autograph=False, input_signature=[tf.TensorSpec([BATCH], tf.int64)] * 2)
    tables = (model.users, model.items)
    kept = [table.touched for table in tables]
    for table in tables if not tracked else ():
        table.touched = None
    compiled.get_concrete_function()
    for table, touched in zip(tables, kept, strict=True):
        table.touched = touched
    users = model.users.num_rows

    def step(number: int) -> None:
        generator = np.random.default_rng(number)
        compiled(*(tf.constant(generator.integers(0, rows, BATCH)) for rows in (users, ITEMS))).numpy()

    return step


def seconds_of(work: Callable[[], object]) -> float:
    """Returns the seconds of a call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def folder_bytes(folder: Path) -> int:
    """Returns the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def fresh(folder: Path) -> Checkpoints:
    """Returns the checkpoints of a run that has none yet."""
    shutil.rmtree(folder, ignore_errors=True)
    return Checkpoints(folder, {"seed": 0}, keep=2)


def measure_checkpoints(model: TwoTower, folder: Path, rounds: int) -> dict[str, float]:
    """Returns seconds and bytes; each is a median over rounds, in which all kinds take turns."""
    step, seconds, found = make_step(model, tracked=True), {}, {}

    def record(name: str, work: Callable[[], object]) -> None:
        seconds.setdefault(name, []).append(seconds_of(work))

    def save(checkpoints: Checkpoints, number: int) -> Callable[[], object]:
        return lambda: checkpoints.save(number, model.placed_variables, {})

    def restore(checkpoints: Checkpoints) -> Callable[[], object]:
        return lambda: checkpoints.restore(model.placed_variables)

    def save_full(threads: int) -> Checkpoints:
        checkpoints = fresh(folder)
        os.sync()  # so that no round waits for the files of the one before
        with mock.patch.object(array_files, "WRITERS", threads):
            record("full" if threads > 1 else "full_one_thread", save(checkpoints, 0))
        return checkpoints

    for turn in range(rounds):
        if turn % 2:
            save_full(1)
        checkpoints = save_full(max(2, array_files.WRITERS))
        if not turn % 2:
            save_full(1)
            checkpoints = save_full(max(2, array_files.WRITERS))
        found["full_bytes"] = folder_bytes(checkpoints.paths[0])
        record("restore_full", restore(checkpoints))
        done = 0
        for steps in STEPS:
            for number in range(done, steps):
                step(number)
            done = steps
            record(f"increment_{steps}_steps", save(checkpoints, steps))
            found[f"increment_{steps}_steps_bytes"] = folder_bytes(checkpoints.paths[-1])
            record(f"restore_increment_{steps}_steps", restore(checkpoints))
    return found | {f"{name}_seconds": statistics.median(values) for name, values in seconds.items()}


def make_marks(tables: Sequence[EmbeddingTable]) -> Callable[[int], None]:
    """Builds a call that marks the rows of ``MARKS`` batches in all tables, and does nothing else."""
    def mark(ids: tf.Tensor) -> None:
        for table in tables:
            assert table.touched is not None
            table.touched.mark(ids % table.num_rows)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([MARKS, BATCH], tf.int64)])
    def marks(ids: tf.Tensor) -> None:
        for batch in tf.unstack(ids):
            mark(batch)

    ids = tf.constant(np.random.default_rng(0).integers(0, 1 << 40, (MARKS, BATCH)))
    return lambda _: marks(ids)


def measure_steps(model: TwoTower, rounds: int) -> dict[str, float]:
    """Returns the seconds of a step and of its marks alone, and how much longer a step is with tracking.

    The ratio of steps is a median over rounds; other load moves it by more than the marks cost.
    """
    steps = {name: make_step(model, tracked=name == "tracked") for name in ("tracked", "untracked")}
    times = interleaved_rounds({**steps, "marks": make_marks((model.users, model.items))}, rounds=rounds, warmup=10)
    pairs = zip(times["tracked"], times["untracked"], strict=True)
    seconds = {name: statistics.median(values) for name, values in times.items()}
    marks = seconds.pop("marks") / MARKS
    return {**{f"step_{name}_seconds": value for name, value in seconds.items()}, "marks_seconds": marks,
            "marks_over_step": marks / seconds["untracked"],
            "step_tracked_over_untracked": statistics.median(one / other for one, other in pairs)}


def measure_speed(users: int, folder: Path, rounds: int, step_rounds: int) -> dict[str, float]:
    """Returns the figures of steps and of checkpoints."""
    model = build_model(users)
    return measure_steps(model, step_rounds) | measure_checkpoints(model, folder / "checkpoints", rounds)


def save_embeddings(model: TwoTower, folder: Path) -> None:
    """Writes both tables as embeddings with integer ids."""
    tables = {table.name: table.placed_variables[0] for table in (model.users, model.items)}
    ids = {name: Vocabulary(pa.array(np.arange(table.shape[0] - 1)), np.ones(table.shape[0] - 1), 1)
           for name, table in tables.items()}
    artifact.save_embeddings(folder, tables, ids, {"window": {"start": 0, "end": 1}}, overwrite=True)


def work_of(part: str, model: TwoTower, folder: Path) -> None:
    """Starts with a built model; then checkpoints, restores or exports it."""
    if part == "export":
        save_embeddings(model, folder / "embeddings")
    elif part != "start":
        checkpoints = Checkpoints(folder / "checkpoints", {"seed": 0}, keep=2)
        if part == "checkpoint":
            checkpoints.save(0, model.placed_variables, {})
        elif not checkpoints.restore(model.placed_variables):
            raise SystemExit("there is no checkpoint to restore")


def memory_over_tables(part: str, users: int, folder: Path) -> float:
    """Returns the growth of this process's peak while it builds a model and does one thing, over the tables' bytes."""
    small = build_model(1000)
    make_step(small, tracked=True)(0)
    work_of("checkpoint", small, folder / "small")
    work_of("export", small, folder / "small")
    del small
    before = resident_bytes()
    model = build_model(users)
    work_of(part, model, folder)
    tables = sum(np.prod(variable.shape) * variable.dtype.itemsize for variable in model.placed_variables)
    return float((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / tables)


def measure_memory(users: int, folder: Path) -> dict[str, float]:
    """Returns ``memory_over_tables`` of each part, each in its own process."""
    figures, quiet = {}, os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    for part in PARTS:
        command = [sys.executable, __file__, "--part", part, "--rows", str(users), "--folder", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=quiet)
        figures[f"{part}_memory_over_tables"] = float(done.stdout.split()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--rows", type=int, default=4_000_000, help="users")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of checkpoints")
    parser.add_argument("--step-rounds", type=int, default=400, help="steps of each kind")
    parser.add_argument("--folder", type=Path, help="where to write checkpoints (default: a temporary folder)")
    parser.add_argument("--memory", action="store_true", help="measure only what each part needs in memory")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(memory_over_tables(options.part, options.rows, options.folder))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = measure_memory(options.rows, Path(folder))
        if not options.memory:
            figures |= measure_speed(options.rows, Path(folder), options.rounds, options.step_rounds)
    print("\n".join(f"{name}: {value:.4g}" for name, value in figures.items()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
