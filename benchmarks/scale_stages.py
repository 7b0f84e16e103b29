# ruff: noqa: PLC0415  a stage imports what it needs: imports of others would be in its peak
"""The stages that ``scale.py`` measures, each in a process of its own: figures of a stage as a dict.

``rows``, ``cpu_seconds`` and ``seconds`` cover the work that grows with the data. Imports, tracing and the evaluation
of a training are not in them; the peak of the memory is that of the whole process.
"""

from __future__ import annotations

import contextlib
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import planted_log
import pyarrow as pa

LOOKUPS, BATCH = 10_000_000, 1 << 17
SLOW_LOOPS = 1  # calls of a compiled loop that trace it


@contextlib.contextmanager
def measured(rows: int) -> Iterator[dict[str, float]]:
    """Yields a dict that contains the figures of the body after it."""
    figures: dict[str, float] = {"rows": rows}
    start, cpu = time.perf_counter(), time.process_time()
    yield figures
    figures |= {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}


def dataset(folder: Path, size: int) -> dict[str, float]:
    """Builds the dataset with the default runner."""
    from beam_pipelines.build_dataset import build
    from tfrs_pretrain.config import Config

    counts = planted_log.sizes(size)
    config = Config.model_validate(planted_log.config())
    with measured(counts["engagements"] + counts["impressions"]) as figures:
        build(config, folder / "logs", folder / "dataset", overwrite=True)
    return figures


def stage_one(folder: Path, size: int) -> dict[str, float]:
    """Trains an epoch of Stage I."""
    import tfrs_pretrain as tp

    with loops() as calls:
        result = tp.pretrain(folder / "dataset", folder / "embeddings", config=planted_log.config(), overwrite=True)
    return epoch(calls, result.steps_per_epoch, result.config["pretraining"]["batch_size"])


def stage_two(folder: Path, size: int) -> dict[str, float]:
    """Trains an epoch of Stage II from the pretrained rows, and evaluates it on the validation impressions."""
    import tfrs_pretrain as tp

    config = planted_log.config()
    with loops() as calls:
        arm = tp.train_ranker(folder / "dataset", folder / "ranker", embeddings=folder / "embeddings", config=config,
                              test=False, overwrite=True)
    batch = config["ranking"]["batch_size"]
    return epoch(calls, arm.epochs[0]["examples"] // batch, batch)


@contextlib.contextmanager
def loops() -> Iterator[list[tuple[int, float, float]]]:
    """Yields a list of (steps, seconds, CPU seconds) of each call of a compiled training loop in the body."""
    from tfrs_pretrain.training.compiled_loop import CompiledLoop

    calls: list[tuple[int, float, float]] = []
    run = CompiledLoop.__call__

    def timed(self: Any, iterator: Any, count: int) -> Any:
        start, cpu = time.perf_counter(), time.process_time()
        values = run(self, iterator, count)
        calls.append((count, time.perf_counter() - start, time.process_time() - cpu))
        return values

    CompiledLoop.__call__ = timed
    try:
        yield calls
    finally:
        CompiledLoop.__call__ = run


def epoch(calls: list[tuple[int, float, float]], steps: int, batch: int) -> dict[str, float]:
    """Returns the figures of an epoch from the median step of the calls after the first ones."""
    later = calls[SLOW_LOOPS:]
    seconds, cpu = (statistics.median(call[place] / call[0] for call in later) * steps for place in (1, 2))
    return {"rows": steps * batch, "seconds": seconds, "cpu_seconds": cpu, "steps": steps,
            "measured_steps": sum(call[0] for call in later)}


def export(folder: Path, size: int) -> dict[str, float]:
    """Exports the ranker with its checks; a row is a row of the two ID tables."""
    import tfrs_pretrain as tp

    with measured(table_rows(size)) as figures:
        tp.export(folder / "dataset", folder / "ranker", folder / "models", config=planted_log.config())
    return figures


def load(folder: Path, size: int) -> dict[str, float]:
    """Loads the exported version; a row is a row of the two ID tables."""
    import tensorflow as tf

    [version] = (folder / "models").glob("*/1")
    with measured(table_rows(size)) as figures:
        tf.saved_model.load(str(version))
    return figures


def look_up(folder: Path, size: int) -> dict[str, float]:
    """Looks random users up in the mapped file of the dataset; a row is a look-up."""
    from tfrs_pretrain.id_lookup import IdLookup

    lookup = IdLookup.open(folder / "dataset" / "vocabulary" / "user.lookup.arrow", None)
    generator = np.random.default_rng(0)
    batches = [pa.array(generator.integers(0, size // 10, BATCH) * 17 + 1000) for _ in range(LOOKUPS // BATCH)]
    with measured(len(batches) * BATCH) as figures:
        for batch in batches:
            lookup.lookup(batch)
    return figures


def table_rows(size: int) -> int:
    """Returns the number of users and items."""
    counts = planted_log.sizes(size)
    return counts["users"] + counts["items"]


STAGES: dict[str, Callable[[Path, int], dict[str, float]]] = {
    function.__name__: function for function in (dataset, stage_one, stage_two, export, load, look_up)}


def run(stage: str, folder: Path, size: int) -> dict[str, float]:
    """Measures a stage in this process."""
    figures = STAGES[stage](folder, size)
    # Linux counts kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return figures | {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
