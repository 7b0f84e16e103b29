"""Measures how the cost of a row in the Beam jobs grows with shards, ids and files; prints tables.

    python benchmarks/beam_scale.py --json scale.json

Each part runs in this process on one core, without a runner, on random rows; the fastest of ``--repeats`` runs counts.
A twin beside it does the same in the simplest way: one filter of the batch per shard, one addition per batch, a Python
string per id, one file after another.
"""

import argparse
import contextlib
import hashlib
import json
import pickle
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from beam_pipelines.jobs.options import DEFAULT_BATCH_ROWS
from beam_pipelines.records.partitions import PartitionByHash
from beam_pipelines.sources.parallel import map_files
from beam_pipelines.transforms.candidate_counts import CountCandidates, add_counts
from tfrs_pretrain.vocabulary import Vocabulary

SHARDS = (8, 1000, 17600)  # 17,600 is the number for 10^10 impressions
ITEMS = (10**5, 10**6, 10**7)
OPEN_SECONDS = .02  # simulated wait for a file of an object store
console = Console(width=120)
rng = np.random.default_rng(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=24, help=f"batches of {DEFAULT_BATCH_ROWS:,} rows in a bundle")
    parser.add_argument("--ids", type=int, default=1_000_000, help="string ids of the vocabulary")
    parser.add_argument("--files", type=int, default=200, help="files of a table")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each measurement")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    result = measure(arguments.batches, arguments.ids, arguments.files, arguments.repeats)
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(num_batches: int, num_ids: int, num_files: int, repeats: int) -> dict[str, Any]:
    """Returns all figures; ``shards`` and ``items`` map a number to microseconds a row, with the twin's."""
    batches = [impressions(DEFAULT_BATCH_ROWS) for _ in range(num_batches)]
    rows = num_batches * DEFAULT_BATCH_ROWS
    shards = {number: {"us_per_row": best(lambda n=number: cut(batches, n), repeats) / rows * 1e6,
                       "twin_us_per_row": best(lambda n=number: cut_by_filters(batches[:1], n), 1)
                       / DEFAULT_BATCH_ROWS * 1e6,
                       "pickled_bytes_per_row": sum(map(len, pickled(cut(batches, number)))) / rows,
                       "twin_pickled_bytes_per_row": sum(map(len, pickled(cut_by_filters(batches[:1], number))))
                       / DEFAULT_BATCH_ROWS} for number in SHARDS}
    items = {number: count(number, num_batches, repeats) for number in ITEMS}
    return {"rows": rows, "shards": shards, "items": items, "digest": digest(num_ids),
            "files": open_files(num_files), "repeats": repeats}


def impressions(num_rows: int) -> pa.RecordBatch:
    """Makes rows as ``build_impressions`` writes them: hash, ids, rows, label, a category and a history of three."""
    ids = {name: rng.integers(0, 10**7, num_rows) for name in ("user_id", "item_id", "user", "item")}
    return pa.RecordBatch.from_pydict({
        "@hash": rng.integers(0, 2**63, num_rows).astype(np.uint64), **ids,
        "label": rng.random(num_rows).astype(np.float32), "surface": rng.integers(0, 9, num_rows).astype(np.int32),
        "history": pa.ListArray.from_arrays(np.arange(0, 3 * num_rows + 1, 3, np.int32), rng.integers(
            0, 10**7, 3 * num_rows))})


def cut(batches: list[pa.RecordBatch], num_shards: int) -> list[pa.RecordBatch]:
    """Cuts a bundle into the pieces of its shards."""
    do_fn = PartitionByHash(lambda batch: batch["@hash"].to_numpy())
    do_fn.start_bundle()
    pieces = [piece for batch in batches for _, piece in do_fn.process(("train", batch), num_shards)]
    return pieces + [value.value[1] for value in do_fn.finish_bundle()]


def cut_by_filters(batches: list[pa.RecordBatch], num_shards: int) -> list[pa.RecordBatch]:
    pieces = []
    for batch in batches:
        shards = batch["@hash"].to_numpy() % np.uint64(num_shards)
        pieces += [batch.filter(pa.array(shards == shard)) for shard in np.unique(shards)]
    return pieces


def pickled(pieces: list[pa.RecordBatch]) -> Iterator[bytes]:
    """Yields the bytes of the pieces as runners shuffle them."""
    yield from map(pickle.dumps, pieces)


def count(num_items: int, num_batches: int, repeats: int) -> dict[str, float]:
    """Counts uniformly drawn items."""
    batches = [rng.integers(0, num_items, DEFAULT_BATCH_ROWS) for _ in range(num_batches)]
    everything = (np.arange(num_items), np.ones(num_items, np.int64))

    def amortized() -> None:
        combine = CountCandidates()
        accumulator = combine.create_accumulator().add(everything)
        for batch in batches:
            accumulator = combine.add_input(accumulator, batch)
        combine.extract_output(accumulator)

    def each_batch() -> None:
        counts = everything
        for batch in batches[:2]:
            counts = add_counts([counts, np.unique(batch, return_counts=True)])

    return {"us_per_row": best(amortized, repeats) / num_batches / DEFAULT_BATCH_ROWS * 1e6,
            "twin_us_per_row": best(each_batch, 1) / 2 / DEFAULT_BATCH_ROWS * 1e6}


def digest(num_ids: int) -> dict[str, float]:
    """Measures the memory of a digest of UUIDs, without the ids themselves."""
    ids = pa.array([f"{number:036x}" for number in range(num_ids)])
    vocabulary = Vocabulary(ids, np.ones(num_ids, np.int64), 1)
    with peak_bytes() as peak:
        found = vocabulary.digest
    with peak_bytes() as twin_peak:
        encoded = [value.encode() for value in ids.to_pylist()]
        state = hashlib.sha256(f"string:1:{num_ids}:".encode())
        state.update(np.array([len(value) for value in encoded], "<i8").tobytes())
        state.update(b"".join(encoded))
    assert found == state.hexdigest()
    return {"ids": num_ids, "bytes_per_id": peak[0] / num_ids, "twin_bytes_per_id": twin_peak[0] / num_ids}


def open_files(num_files: int) -> dict[str, float]:
    """Opens files that take OPEN_SECONDS each."""
    paths = [str(number) for number in range(num_files)]
    return {"files": num_files, "seconds": best(lambda: list(map_files(_open, paths)), 1),
            "twin_seconds": best(lambda: list(map(_open, paths)), 1), "open_seconds": OPEN_SECONDS}


def _open(_: str) -> None:
    time.sleep(OPEN_SECONDS)


def best(run: Callable[[], Any], repeats: int) -> float:
    """Returns the seconds of the fastest run."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


@contextlib.contextmanager
def peak_bytes() -> Iterator[list[int]]:
    """Yields a list that contains, after the body, the peak of the memory of Python and numpy during it."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def show(result: dict[str, Any]) -> None:
    """Prints figures and method."""
    console.print(f"One core, in process, no runner; {result['rows']:,} random rows in batches of "
                  f"{DEFAULT_BATCH_ROWS:,}; fastest of {result['repeats']} runs, the twin once on a part of the rows.",
                  highlight=False)
    shards = Table("shards", "us/row", "twin: a filter per shard", "pickled B/row", "twin")
    for number, row in result["shards"].items():
        shards.add_row(f"{number:,}", *(f"{row[key]:,.2f}" for key in (
            "us_per_row", "twin_us_per_row", "pickled_bytes_per_row", "twin_pickled_bytes_per_row")))
    items = Table("items that are counted", "us/row", "twin: a sort per batch")
    for number, row in result["items"].items():
        items.add_row(f"{number:,}", f"{row['us_per_row']:.2f}", f"{row['twin_us_per_row']:.2f}")
    others = Table("", "measured", "twin")
    memory, files = result["digest"], result["files"]
    others.add_row(f"digest of {memory['ids']:,} string ids, B/id", f"{memory['bytes_per_id']:.0f}",
                   f"{memory['twin_bytes_per_id']:.0f}")
    others.add_row(f"open {files['files']} files that take {files['open_seconds']} s each, s",
                   f"{files['seconds']:.2f}", f"{files['twin_seconds']:.2f}")
    console.print(shards, items, others)


if __name__ == "__main__":
    main()
