"""Recall of an approximate index against the exact one, and the latency of single queries."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrs_pretrain.evaluation.student_t import intervals_json
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.retrieval.artifact import EXACT, search
from tfrs_pretrain.retrieval.library import load_faiss
from tfrs_pretrain.vocabulary import Vocabulary

CONFIDENCE = 0.95  # of the intervals


def sample_users(vocabulary: Vocabulary, max_users: int) -> np.ndarray:
    """Samples at most ``max_users`` admitted users by smallest hash; returns their rows, int64 [n], ascending."""
    rows = vocabulary.id_rows
    return np.sort(rows[np.argsort(hash_ids(rows), kind="stable")[:max_users]])


def measure(indexes: Mapping[str, Any], queries: np.ndarray, cutoffs: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    """Measures recall@k against the exact index, and the latency of single queries on one thread.

    Args:
      indexes: name -> Faiss index, "exact" among them.
      queries: float32 [queries, dim]; an empty array measures nothing.
      cutoffs: values of k; each query retrieves as many items as the largest.

    Returns:
      index name -> ``{"recall@<k>": share, "p50_ms": milliseconds, "p99_ms": milliseconds, "intervals": {"recall@<k>":
      [low, high] or None}}``; the intervals are those of a mean over the queries, by Student's t.
    """
    if not len(queries):
        return {}
    faiss = load_faiss()
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        answers = {name: _timed(index, queries, max(cutoffs)) for name, index in indexes.items()}
    finally:
        faiss.omp_set_num_threads(threads)
    exact = answers[EXACT][0]
    measured = {}
    for name, (found, seconds) in answers.items():
        p50, p99 = 1000 * np.quantile(seconds, [0.5, 0.99])
        shares = {f"recall@{k}": query_recalls(found, exact, k) for k in cutoffs}
        measured[name] = {**{key: float(np.mean(values)) for key, values in shares.items()},
                          "p50_ms": float(p50), "p99_ms": float(p99),
                          "intervals": intervals_json(shares, CONFIDENCE)}
    return measured


def _timed(index: Any, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Runs each query alone; returns item rows, int64 [queries, n], and seconds, float64 [queries]."""
    search(index, queries[:1], k)  # warm-up: the first query loads pages into memory
    found, seconds = [], []
    for query in queries:
        start = time.perf_counter()
        _, rows = search(index, query[None], k)
        seconds.append(time.perf_counter() - start)
        found.append(rows[0])
    return np.stack(found), np.array(seconds)


def query_recalls(found: np.ndarray, exact: np.ndarray, k: int) -> np.ndarray:
    """float64 [queries]: share of the first k rows of ``exact`` [queries, n] among the first k rows of ``found``."""
    return np.array([len(np.intersect1d(one[:k][one[:k] >= 0], other[:k])) / len(other[:k])
                     for one, other in zip(found, exact, strict=True)])
