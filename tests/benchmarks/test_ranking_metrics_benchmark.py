"""What the benchmark of the metrics measures is the real thing."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tfrs_pretrain.metrics.ranking import ranking_metrics


@pytest.fixture(scope="module")
def benchmark():
    folder = str(Path(__file__).resolve().parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    import ranking_metrics

    sys.path.remove(folder)
    return ranking_metrics


def test_the_rows_look_like_a_log(benchmark):
    scored = benchmark.scored_rows(20_000, 1_000)
    _, sizes = np.unique(scored.requests, return_counts=True)
    assert set(sizes) == {10}
    assert all(len(set(scored.users[scored.requests == request])) == 1 for request in range(20))
    metrics = ranking_metrics(scored.labels, scored.scores["one"], scored.users, scored.requests)
    assert 0.05 < metrics["positives"] / 20_000 < 0.2
    assert 0.6 < metrics["auc"] < 0.9
    assert 0.5 < metrics["ndcg@5"] < 0.9
    assert None not in metrics.values()
    frequencies = np.sort(np.bincount(scored.users))[::-1]
    assert frequencies[0] > 50 * np.median(frequencies[frequencies > 0])


def test_the_figures_have_the_promised_names(benchmark):
    assert benchmark.metric_rows_per_second(5_000, 200, rounds=1) > 0
    figures = benchmark.measure(5_000, 200, 5, 1)
    assert set(figures) == {"metric_rows_per_second", "seconds_of_scikit_learn_auc_and_log_loss",
                            "seconds_of_all_metrics", "seconds_of_5_paired_replicates"}
    assert min(figures.values()) > 0
