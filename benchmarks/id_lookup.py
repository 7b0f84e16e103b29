"""Measures the look-up of ids in a mapped file of sorted hashes, against pandas' index; prints a table.

    python benchmarks/id_lookup.py --json id_lookup.json

For each size, a vocabulary and its look-up file are written to a temporary folder. A fresh process opens the file, a
second one reads the vocabulary into a pandas index, as workers did before. Both then map the same random batches: nine
of ten ids are known. Private memory is that of the process alone (anonymous pages); pages of the mapped file are shared
by all processes of the machine.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from beam_pipelines.jobs.options import DEFAULT_BATCH_ROWS
from tfrs_pretrain.id_lookup import IdLookup
from tfrs_pretrain.vocabulary import Vocabulary

OOV_ROWS = 1
console = Console(width=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**6, 10**7], help="numbers of ids")
    parser.add_argument("--batches", type=int, default=20, help=f"batches of {DEFAULT_BATCH_ROWS:,} ids to look up")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    result = {"batches": arguments.batches, "batch_rows": DEFAULT_BATCH_ROWS, "cases": {
        f"{dtype} {size}": measure(dtype, size, arguments.batches) for dtype in ("int64", "string")
        for size in arguments.sizes}}
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(dtype: str, size: int, batches: int) -> dict[str, Any]:
    """Returns the figures of one vocabulary: of the mapped file, and of pandas as ``twin``."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "vocabulary.parquet"), Path(folder, "vocabulary.lookup.arrow")
        made = in_fresh_process(write, dtype, size, *paths)
        found: dict[str, Any] = in_fresh_process(look_up, open_file, paths[1], dtype, size, batches)
        twin = in_fresh_process(look_up, open_pandas, paths[0], dtype, size, batches)
        assert found.pop("sum") == twin.pop("sum"), "both map ids to the same rows"
        return found | {"twin": twin, "file_bytes": paths[1].stat().st_size, "seconds_to_write": made}


def in_fresh_process(call: Callable[..., Any], *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(call, arguments)


def write(dtype: str, size: int, vocabulary_path: Path, lookup_path: Path) -> float:
    """Writes both files; returns the seconds for the second one."""
    ids = id_array(np.arange(size), dtype)
    vocabulary = Vocabulary(ids, np.ones(size, np.int64), OOV_ROWS)
    vocabulary.save(vocabulary_path)
    start = time.perf_counter()
    vocabulary.id_lookup.save(lookup_path)
    return time.perf_counter() - start


def id_array(numbers: np.ndarray, dtype: str) -> pa.Array:
    """Scattered integers, or texts of 16 hexadecimal digits."""
    scattered = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    if dtype == "int64":
        return pa.array(scattered.view(np.int64))
    return pa.array([f"{value:016x}" for value in scattered])


def look_up(make: Callable[[Path], Callable[[pa.Array], np.ndarray]], path: Path, dtype: str, size: int, batches: int
            ) -> dict[str, float]:
    """Opens a file, then maps batches of ids."""
    before = memory("RssAnon")
    start = time.perf_counter()
    lookup = make(path)
    lookup(id_array(np.arange(1), dtype))
    ready = time.perf_counter()
    private = memory("RssAnon") - before
    random = np.random.default_rng(0)
    seconds, total = 0.0, 0
    for _ in range(batches):
        values = id_array(random.integers(0, size * 10 // 9, DEFAULT_BATCH_ROWS), dtype)
        begin = time.perf_counter()
        rows = lookup(values)
        seconds += time.perf_counter() - begin
        total += int(rows.sum())
    return {"startup_seconds": ready - start, "lookups_per_second": batches * DEFAULT_BATCH_ROWS / seconds,
            "private_bytes": private, "shared_bytes": memory("RssFile"), "sum": total}


def open_file(path: Path) -> Callable[[pa.Array], np.ndarray]:
    return IdLookup.open(path, None).lookup


def open_pandas(path: Path) -> Callable[[pa.Array], np.ndarray]:
    ids = Vocabulary.load(path).ids
    index = pd.Index(ids.to_numpy(zero_copy_only=False), dtype=None if pa.types.is_int64(ids.type) else object)

    def lookup(values: pa.Array) -> np.ndarray:
        positions = index.get_indexer(pd.Index(values.to_numpy(zero_copy_only=False), dtype=index.dtype))
        return np.where(positions < 0, 0, positions + OOV_ROWS)

    return lookup


def memory(kind: str) -> int:
    """Bytes of this process: "RssAnon", its own, or "RssFile", of mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


def show(result: dict[str, Any]) -> None:
    """Prints figures and method."""
    console.print(f"One process, {result['batches']} random batches of {result['batch_rows']:,} ids, nine of ten "
                  "known.", highlight=False)
    table = Table("ids", "look-ups/s", "pandas", "start-up, s", "pandas", "private MB", "pandas", "file, MB")
    for name, row in result["cases"].items():
        pairs = ((row[key] / unit, row["twin"][key] / unit) for key, unit in (
            ("lookups_per_second", 1e6), ("startup_seconds", 1), ("private_bytes", 1e6)))
        cells = [f"{value:,.3f}" for pair in pairs for value in pair]
        table.add_row(name, *cells, f"{row['file_bytes'] / 1e6:,.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
