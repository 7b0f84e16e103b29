"""What an approximate index finds of the exact answer, and how long a query takes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.retrieval.artifact import EXACT, search
from tfrs_pretrain.retrieval.library import load_faiss
from tfrs_pretrain.vocabulary import Vocabulary


def sample_users(vocabulary: Vocabulary, most: int) -> np.ndarray:
    """int64 [n]: rows of at most ``most`` admitted users, those with the smallest hash."""
    rows = np.arange(vocabulary.oov_rows, vocabulary.num_rows)
    return np.sort(rows[np.argsort(hash_ids(rows), kind="stable")[:most]])


def measure(indexes: Mapping[str, Any], queries: np.ndarray, cutoffs: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    """Per index recall@k against the exact one and the milliseconds of single queries on one thread.

    Args:
      indexes: name -> Faiss index, "exact" among them.
      queries: float32 [queries, columns]; without any, nothing is measured.
      cutoffs: values of k; lists are as long as the largest.

    Returns:
      Name -> {"recall@<k>", "p50_ms", "p99_ms"}.
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
        measured[name] = {**{f"recall@{k}": recall(found, exact, k) for k in cutoffs},
                          "p50_ms": float(p50), "p99_ms": float(p99)}
    return measured


def _timed(index: Any, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """int64 [queries, n] rows, and float64 [queries] seconds of each query alone."""
    search(index, queries[:1], k)  # the first touches pages that the others find there
    found, seconds = [], []
    for query in queries:
        start = time.perf_counter()
        _, rows = search(index, query[None], k)
        seconds.append(time.perf_counter() - start)
        found.append(rows[0])
    return np.stack(found), np.array(seconds)


def recall(found: np.ndarray, exact: np.ndarray, k: int) -> float:
    """Mean share of the first k of ``exact`` [queries, n] that are among the first k of ``found`` [queries, n]."""
    shares = [len(np.intersect1d(one[:k][one[:k] >= 0], other[:k])) / len(other[:k])
              for one, other in zip(found, exact, strict=True)]
    return float(np.mean(shares))
