"""Retrieval metrics of ranked lists: recall, NDCG, MRR, coverage, and recall by item frequency."""

from __future__ import annotations

import numpy as np

from tfrs_pretrain.metrics.interactions import Interactions


def retrieval_metrics(top: np.ndarray, relevant: Interactions, cutoffs: tuple[int, ...]) -> dict[str, float]:
    """Return the means of ``query_metrics``; NaN if no query has a relevant item."""
    return {name: float(np.mean(values)) if len(values) else float("nan")
            for name, values in query_metrics(top, relevant, cutoffs).items()}


def query_metrics(top: np.ndarray, relevant: Interactions, cutoffs: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return name -> float64 [n], a value for each query that has a relevant item.

    recall@k is the share of a query's relevant items among its first k. ndcg@k has binary gains and an ideal list of
    min(k, relevant) items (Järvelin and Kekäläinen, TOIS 2002). mrr@k is 1 / rank of the first relevant item, or 0 if
    none is among the first k.

    Args:
      top: int64 [queries, largest cutoff], best first, -1 where a list is shorter.
      relevant: items to be found for each query.
      cutoffs: values of k.
    """
    counts = relevant.counts
    has_relevant = counts > 0
    hits = _hits(top, relevant)[has_relevant]                                             # [queries, k]
    discounts = 1.0 / np.log2(np.arange(2, top.shape[1] + 2))
    ideal = np.cumsum(discounts)
    out: dict[str, np.ndarray] = {}
    for k in cutoffs:
        first = hits[:, :k]
        out[f"recall@{k}"] = first.sum(axis=1) / counts[has_relevant]
        out[f"ndcg@{k}"] = first @ discounts[:k] / ideal[np.minimum(counts[has_relevant], k) - 1]
        out[f"mrr@{k}"] = np.where(first.any(axis=1), 1.0 / (first.argmax(axis=1) + 1), 0.0)
    return out


def coverage(top: np.ndarray, corpus: int, cutoffs: tuple[int, ...]) -> dict[str, float]:
    """Return coverage@k: the share of the corpus that is among the first k of at least one query.

    Coverage grows with the number of queries: compare models on the same queries only.

    Args:
      top: int64 [queries, largest cutoff], -1 where a list is shorter.
      corpus: number of items.
      cutoffs: values of k.
    """
    return {f"coverage@{k}": len(np.unique(top[:, :k][top[:, :k] >= 0])) / corpus for k in cutoffs}


def recall_by_frequency(top: np.ndarray, relevant: Interactions, frequency: np.ndarray, bounds: tuple[int, ...],
                        cutoffs: tuple[int, ...]) -> list[dict[str, float]]:
    """Compute recall within groups of relevant items of similar training frequency.

    Within a group, recall@k counts only the group's items, as relevant and as found, and is the mean over the queries
    that have one. The ranked lists remain those of the full corpus.

    Args:
      top: int64 [queries, largest cutoff], best first.
      relevant: items to be found for each query.
      frequency: int [corpus], training count of each item.
      bounds: ascending; group g contains the items with ``bounds[g - 1] <= frequency < bounds[g]``, the first group
        starts at 0 and the last has no upper bound.
      cutoffs: values of k.

    Returns:
      for each group "from" and "to" (exclusive, infinite in the last), "relevant" (number of relevant pairs) and
      recall@k.
    """
    groups = np.searchsorted(bounds, frequency[relevant.items], side="right")
    edges = [0, *bounds, float("inf")]
    out = []
    for group in range(len(bounds) + 1):
        inside = groups == group
        part = Interactions.from_pairs(relevant.queries[inside], relevant.items[inside], len(relevant.counts))
        recalls = {name: value for name, value in retrieval_metrics(top, part, cutoffs).items() if "recall" in name}
        out.append({"from": edges[group], "to": edges[group + 1], "relevant": int(inside.sum()), **recalls})
    return out


def _hits(top: np.ndarray, relevant: Interactions) -> np.ndarray:
    """Return bool [queries, k]: the listed item is relevant."""
    span = int(max(top.max(initial=-1), relevant.items.max(initial=-1))) + 2
    listed = np.arange(len(top))[:, None] * span + top + 1
    expected = relevant.queries * span + relevant.items + 1
    return np.isin(listed, expected)
