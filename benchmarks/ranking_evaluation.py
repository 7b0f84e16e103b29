"""Time of the exact full-corpus ranking against the matrix product that it cannot avoid.

    python benchmarks/ranking_evaluation.py [--queries 10000] [--items 100000] [--dim 64] [--rounds 3]
"""

from __future__ import annotations

import argparse

import numpy as np
from timing import interleaved

from tfrs_pretrain.metrics.retrieval import Interactions, top_items

BLOCK = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("queries", 10_000), ("items", 100_000), ("dim", 64), ("rounds", 3), ("seen", 50)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    queries, items = (generator.standard_normal((rows, options.dim), np.float32)
                      for rows in (options.queries, options.items))
    seen = Interactions.from_pairs(np.repeat(np.arange(options.queries), options.seen),
                                   generator.integers(0, options.items, options.queries * options.seen),
                                   options.queries)

    def product(number: int) -> None:
        for start in range(0, options.queries, BLOCK):
            queries[start:start + BLOCK] @ items.T

    seconds = interleaved({"plain product": product, "top 50, seen masked": lambda number: _discard(
        top_items(queries, items, 50, seen))}, rounds=options.rounds, warmup=1)
    for name, value in seconds.items():
        print(f"{name:22}{value:8.2f} s")
    print(f"{'ratio':22}{seconds['top 50, seen masked'] / seconds['plain product']:8.2f}")


def _discard(result: np.ndarray) -> None:
    del result


if __name__ == "__main__":
    main()
