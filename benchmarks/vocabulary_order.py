"""Measures the largest element and the peak memory of building a vocabulary; prints a table.

    python benchmarks/vocabulary_order.py --json vocabulary_order.json

Counts of random ids of 16 characters are divided into buckets as the job does, then sorted, cut into ranges and
written, each step in a fresh process. The twin gathers the counts of all buckets in one element and builds the
vocabulary from it, as earlier versions did. Peaks are without the memory that the process needs before it starts.
"""

import argparse
import json
import multiprocessing
import pickle
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from beam_pipelines.build_vocabulary import write_vocabulary
from beam_pipelines.jobs.job import Job
from beam_pipelines.transforms.vocabularies import save_vocabulary
from beam_pipelines.transforms.vocabulary_order import (
    CountRange,
    choose_bounds,
    cut_into_ranges,
    sample_keys,
    sort_bucket,
    write_range,
)
from tfrs_pretrain.config import load_config
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.vocabulary import Vocabulary

BUCKETS = 64
NAME = "item"
console = Console(width=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**6, 8 * 10**6], help="numbers of ids")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    result = {size: measure(size) for size in arguments.sizes}
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(size: int) -> dict[str, Any]:
    """Returns the figures of one size; both ways write the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        in_fresh_process(make_buckets, size, folder)
        ranges, element = in_fresh_process(order, folder)
        ordered: dict[str, Any] = in_fresh_process(measured, write, folder, ranges) | {"element_bytes": element}
        twin = in_fresh_process(measured, write_whole, folder)
        new, old = (Path(folder, name, "vocabulary", f"{NAME}.parquet").read_bytes() for name in ("new", "old"))
        assert new == old, "both write the same vocabulary"
        return ordered | {"twin": twin}


def in_fresh_process(call: Callable[..., Any], *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(call, arguments)


def job(folder: str) -> Job:
    return Job(load_config("completejourney", ["schema.item.dtype=string"]), "raw", folder)


def make_buckets(size: int, folder: str) -> None:
    """Writes the counts of each bucket to a file."""
    random = np.random.default_rng(0)
    for part in range(0, size, 10**6):
        numbers = np.arange(part, min(part + 10**6, size)).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        ids, occurrences = [f"{value:016x}" for value in numbers], random.zipf(1.5, len(numbers)) % 99 + 1
        counts = pa.table({"value": ids, "count": occurrences})
        buckets = hash_ids(counts["value"]) % np.uint64(BUCKETS)
        for bucket in range(BUCKETS):
            path = Path(folder, f"{bucket}-{part}")
            path.write_bytes(pickle.dumps(counts.filter(pa.array(buckets == bucket))))


def read_buckets(folder: str) -> list[pa.Table]:
    files = (Path(folder).glob(f"{bucket}-*") for bucket in range(BUCKETS))
    parts = ([pickle.loads(path.read_bytes()) for path in paths] for paths in files)
    return [pa.concat_tables(tables).combine_chunks() for tables in parts]


def order(folder: str) -> tuple[list[CountRange], int]:
    """Writes the ranges; returns them and the bytes of the largest element."""
    buckets = [sort_bucket(NAME, bucket, job(folder))[1] for bucket in read_buckets(folder)]
    bounds = {NAME: choose_bounds(NAME, [sample_keys(NAME, bucket)[1] for bucket in buckets])[1]}
    pieces = defaultdict(list)
    for bucket in buckets:
        for key, piece in cut_into_ranges((NAME, bucket), bounds):
            pieces[key].append(piece)
    largest = max(each.nbytes for each in [*buckets, *map(pa.concat_tables, pieces.values())])
    return [write_range(key, tables, folder)[1] for key, tables in pieces.items()], largest


def measured(call: Callable[..., int], *arguments: Any) -> dict[str, float]:
    """Runs a step; returns seconds, peak bytes above those at its start and bytes of its element."""
    before, start = peak(), time.perf_counter()
    element = call(*arguments)
    return {"seconds": time.perf_counter() - start, "peak_bytes": peak() - before, "element_bytes": element}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write(folder: str, ranges: list[CountRange]) -> int:
    write_vocabulary(NAME, ranges, job(f"{folder}/new"))
    return 0


def write_whole(folder: str) -> int:
    counts, rules = pa.concat_tables(read_buckets(folder)), job(folder).schema.vocabularies[NAME]
    vocabulary = Vocabulary.from_counts(counts["value"], counts["count"].to_numpy(), oov_rows=rules.oov_rows,
                                        min_count=rules.min_count, max_size=rules.max_size)
    save_vocabulary(vocabulary, f"{folder}/old", NAME)
    return int(counts.nbytes)


def show(result: dict[int, Any]) -> None:
    """Prints figures and method."""
    console.print(f"Counts of {BUCKETS} buckets, one process for each step.", highlight=False)
    table = Table("ids", "largest element, MB", "twin", "peak of writing, MB", "twin", "seconds of writing", "twin")
    for size, row in result.items():
        pairs = [(row[key] / unit, row["twin"][key] / unit) for key, unit in (
            ("element_bytes", 1e6), ("peak_bytes", 1e6), ("seconds", 1))]
        table.add_row(f"{size:,}", *(f"{value:,.1f}" for pair in pairs for value in pair))
    console.print(table)


if __name__ == "__main__":
    main()
