"""Measures the evaluation of a ranker: metrics per second, and the bootstrap by user.

    python benchmarks/ranking_metrics.py [--rows 1000000] [--users 50000] [--replicates 200] [--rounds 5] [--json FILE]

Metrics: all of ``ranking_metrics`` (AUC, GAUC, log loss, NE, calibration, ECE, recall and NDCG within requests) on
scored rows in memory, against scikit-learn's AUC and log loss of the same rows, in turns. Bootstrap: the same metrics
of two models on the same resampled users. Times depend on the machine and its load.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score
from timing import interleaved

from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import ScoredImpressions, compare
from tfrs_pretrain.metrics.ranking import ranking_metrics

REQUEST_ROWS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("rows", 1_000_000), ("users", 50_000), ("replicates", 200), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    figures = measure(options.rows, options.users, options.replicates, options.rounds)
    for name, value in figures.items():
        print(f"{name:42}{value:16,.2f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def metric_rows_per_second(rows: int = 1_000_000, users: int = 50_000, rounds: int = 5) -> float:
    """Returns the rows per second of ``ranking_metrics`` with all metrics; the median of some rounds."""
    scored = scored_rows(rows, users)
    scores = scored.scores["one"]
    seconds = interleaved({"metrics": lambda number: _discard(
        ranking_metrics(scored.labels, scores, scored.users, scored.requests))}, rounds=rounds, warmup=1)
    return rows / seconds["metrics"]


def scored_rows(rows: int, users: int) -> ScoredImpressions:
    """Returns impressions of users with a long tail (Zipf 1.1), ten per request, one in ten positive, with 2 models."""
    generator = np.random.default_rng(0)
    share = np.arange(1, users + 1) ** -1.1
    requests = generator.choice(users, rows // REQUEST_ROWS + 1, p=share / share.sum())
    numbers = np.repeat(np.arange(len(requests)), REQUEST_ROWS)[:rows]
    logits = generator.normal(-2.5, 1, rows)
    scores = {name: (1 / (1 + np.exp(-(logits + generator.normal(0, noise, rows))))).astype(np.float32)
              for name, noise in (("one", 0.5), ("other", 0.6))}
    labels = (generator.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    # Like a log, ordered by neither user nor request.
    order = generator.permutation(rows)
    return ScoredImpressions(labels[order], requests[numbers][order], numbers[order],
                  {name: values[order] for name, values in scores.items()})


def measure(rows: int, users: int, replicates: int, rounds: int) -> dict[str, float]:
    """Returns rows per second of the metrics, the ratio to scikit-learn, and seconds of the paired bootstrap."""
    scored = scored_rows(rows, users)
    scores = scored.scores["one"]

    def peer(number: int) -> None:
        roc_auc_score(scored.labels, scores)
        log_loss(scored.labels, scores.astype(np.float64))

    seconds = interleaved({"all": lambda number: _discard(
        ranking_metrics(scored.labels, scores, scored.users, scored.requests)), "peer": peer}, rounds=rounds, warmup=1)
    start = time.perf_counter()
    compare(scored, [], Resampling(replicates))
    return {"metric_rows_per_second": rows / seconds["all"],
            "seconds_of_scikit_learn_auc_and_log_loss": seconds["peer"], "seconds_of_all_metrics": seconds["all"],
            f"seconds_of_{replicates}_paired_replicates": time.perf_counter() - start}


def _discard(result: object) -> None:
    del result


if __name__ == "__main__":
    main()
