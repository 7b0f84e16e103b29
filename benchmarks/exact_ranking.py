"""Measures exact full-corpus ranking against the matrix product that it requires.

    python benchmarks/exact_ranking.py [--queries 10000] [--items 100000] [--dim 64] [--rounds 3] [--json FILE]

The plain product allocates a new array of scores for each block of queries; the ranking reuses its memory. Ratios are
of median wall times. Brackets contain the ratios of processor times, which other load on the machine hardly affects.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from timing import interleaved

from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.metrics.top_items import top_items

BLOCK = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("queries", 10_000), ("items", 100_000), ("dim", 64), ("rounds", 3), ("seen", 50)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    queries, items = (generator.standard_normal((rows, options.dim), np.float32)
                      for rows in (options.queries, options.items))
    seen = Interactions.from_pairs(np.repeat(np.arange(options.queries), options.seen),
                                   generator.integers(0, options.items, options.queries * options.seen),
                                   options.queries)

    def product() -> None:
        for start in range(0, options.queries, BLOCK):
            queries[start:start + BLOCK] @ items.T

    scores = np.empty((BLOCK, options.items), np.float32)

    def product_in_place() -> None:
        for start in range(0, options.queries, BLOCK):
            part = queries[start:start + BLOCK]
            np.matmul(part, items.T, out=scores[:len(part)])

    contenders = {"top 50, seen masked": lambda: top_items(queries, items, 50, seen), "plain product": product,
                  "product in place": product_in_place}
    processor: dict[str, list[float]] = {name: [] for name in contenders}

    def timed(name: str, run: Callable[[], object]) -> Callable[[int], None]:
        def once(number: int) -> None:
            start = time.process_time()
            run()
            processor[name].append(time.process_time() - start)
        return once

    wall = interleaved({name: timed(name, run) for name, run in contenders.items()}, rounds=options.rounds, warmup=1)
    cpu = {name: statistics.median(times) for name, times in processor.items()}
    result = {"seconds": wall, "processor_seconds": cpu}
    ours, *products = contenders
    for name in products:
        key = name.replace(" ", "_")
        result |= {f"ratio_to_{key}": wall[ours] / wall[name], f"processor_ratio_to_{key}": cpu[ours] / cpu[name]}
    for name in contenders:
        against = "" if name == ours else f"   ratio {wall[ours] / wall[name]:.2f} ({cpu[ours] / cpu[name]:.2f})"
        print(f"{name:22}{wall[name]:8.2f} s ({cpu[name]:.2f} s of processors){against}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
