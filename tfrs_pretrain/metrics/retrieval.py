"""Exact retrieval metrics over the full corpus, in memory bounded by the block size."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits


@dataclasses.dataclass(frozen=True)
class Interactions:
    """Items of each query, in compressed rows.

    Attributes:
      offsets: int64 [queries + 1]; the items of query q lie at ``offsets[q]:offsets[q + 1]``.
      items: int64 [n], sorted and distinct within a query.
    """

    offsets: np.ndarray
    items: np.ndarray

    @classmethod
    def from_pairs(cls, queries: np.ndarray, items: np.ndarray, count: int) -> Interactions:
        """Interactions of ``count`` queries from integer pairs [n] in any order, repeats allowed."""
        pairs = np.unique(np.stack([queries, items], axis=1).astype(np.int64).reshape(-1, 2), axis=0)
        return cls(np.searchsorted(pairs[:, 0], np.arange(count + 1)), pairs[:, 1])

    @property
    def counts(self) -> np.ndarray:
        """int64 [queries]: items of each query."""
        return np.diff(self.offsets)

    @property
    def queries(self) -> np.ndarray:
        """int64 [n]: the query of each item."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def without(self, others: Interactions) -> Interactions:
        """These interactions without those that the same queries have in ``others``."""
        span = int(max(self.items.max(initial=0), others.items.max(initial=0))) + 1
        kept = ~np.isin(self.queries * span + self.items, others.queries * span + others.items)
        return Interactions.from_pairs(self.queries[kept], self.items[kept], len(self.counts))

    def part(self, start: int, end: int) -> Interactions:
        """Interactions of the queries ``start`` to ``end - 1``, counted from 0."""
        offsets = self.offsets[start:end + 1]
        return Interactions(offsets - offsets[0], self.items[offsets[0]:offsets[-1]])


def top_items(queries: np.ndarray, items: np.ndarray, k: int, seen: Interactions, *, query_block: int = 512,
              item_block: int = 1024) -> np.ndarray:
    """The k items with the largest inner product for each query, all items compared.

    Args:
      queries: float [queries, dim].
      items: float [items, dim].
      k: length of the lists.
      seen: items that must not be listed.
      query_block: most queries scored together.
      item_block: items scored together; a core holds query_block * item_block scores, best what fits into its cache.

    Returns:
      int64 [queries, k], best first, equal scores in item order; -1 where fewer than k items are left.
    """
    cores = os.cpu_count() or 1
    size = max(1, min(query_block, -(-len(queries) // cores)))
    blocks = [slice(start, start + size) for start in range(0, len(queries), size)]
    # Threads, because numpy holds no lock in any of the large operations; with threads of its own below them, the
    # library of matrix products would spend most of the time waiting for itself.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores) as pool:
        lists = list(pool.map(lambda block: _top_of_block(queries[block], items, k, seen.part(block.start, block.stop),
                                                          item_block), blocks))
    return np.concatenate(lists) if lists else np.empty((0, k), np.int64)


def _top_of_block(queries: np.ndarray, items: np.ndarray, k: int, seen: Interactions, item_block: int) -> np.ndarray:
    dtype = np.result_type(queries, items)
    best = _Lists(np.full((len(queries), k), -np.inf, dtype), np.full((len(queries), k), -1, np.int64))
    by_item = np.argsort(seen.items, kind="stable")
    seen_items, seen_queries = seen.items[by_item], seen.queries[by_item]
    room = np.empty(len(queries) * item_block, dtype)
    for start in range(0, len(items), item_block):
        part = items[start:start + item_block]
        scores = room[:len(queries) * len(part)].reshape(len(queries), len(part))
        np.matmul(queries, part.T, out=scores)                                            # [queries, item_block]
        inside = slice(*np.searchsorted(seen_items, (start, start + item_block)))
        scores[seen_queries[inside], seen_items[inside] - start] = -np.inf
        best.offer(scores, start)
    best.merge()
    return best.items


class _Lists:
    """The best items so far of some queries, and those that wait to be sorted in.

    Args:
      scores: float [queries, k], falling; -inf where a list is shorter.
      items: int64 [queries, k].
    """

    def __init__(self, scores: np.ndarray, items: np.ndarray):
        self.scores, self.items = scores, items
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # query, item, score, by (query, item)

    def offer(self, scores: np.ndarray, start: int) -> None:
        """Takes what may enter of float [queries, n] scores of the items from ``start`` on."""
        k, least = self.scores.shape[1], self.scores[:, -1:]
        # Later items lose ties, so only a larger score enters a full list.
        enters = scores > least
        if scores.shape[1] > k and np.isneginf(least).any():
            enters &= scores >= -np.partition(-scores, k - 1, axis=1)[:, k - 1:k]
        rows, columns = np.divmod(np.flatnonzero(enters), scores.shape[1])
        self._waiting.append((rows, columns + start, scores[rows, columns]))
        # The longer the wait the more enters in vain, the shorter the more often all is sorted: with as many waiting as
        # listed, a merge happens about each time the number of items seen has doubled.
        if sum(len(rows) for rows, _, _ in self._waiting) >= self.scores.size:
            self.merge()

    def merge(self) -> None:
        """Sorts in what waits."""
        if not self._waiting:
            return
        rows, items, scores = (np.concatenate(column) for column in zip(*self._waiting, strict=True))
        self._waiting = []
        order = np.argsort(rows, kind="stable")
        touched, first, counts = np.unique(rows[order], return_index=True, return_counts=True)
        if not len(touched):
            return
        # One padded line a query: the list, then what enters in item order, so that a stable sort keeps ties in order.
        k = self.scores.shape[1]
        line = np.repeat(np.arange(len(touched)), counts)
        place = k + np.arange(len(rows)) - np.repeat(first, counts)
        shape = (len(touched), k + counts.max())
        all_scores, all_items = np.full(shape, -np.inf, scores.dtype), np.full(shape, -1, np.int64)
        all_scores[:, :k], all_items[:, :k] = self.scores[touched], self.items[touched]
        all_scores[line, place], all_items[line, place] = scores[order], items[order]
        ranked = np.argsort(-all_scores, axis=1, kind="stable")[:, :k]
        self.scores[touched] = np.take_along_axis(all_scores, ranked, axis=1)
        self.items[touched] = np.take_along_axis(all_items, ranked, axis=1)


def retrieval_metrics(top: np.ndarray, relevant: Interactions, cutoffs: tuple[int, ...]) -> dict[str, float]:
    """Means over the queries that have a relevant item.

    recall@k is the share of a query's relevant items among its first k; ndcg@k has binary gains and the ideal list of
    min(k, relevant) items (Järvelin and Kekäläinen, TOIS 2002); mrr@k is 1 / rank of the first relevant item, 0 where
    none is among the first k.

    Args:
      top: int64 [queries, largest cutoff], best first, -1 where a list is shorter.
      relevant: items that should be found.
      cutoffs: values of k.
    """
    counts = relevant.counts
    asked = counts > 0
    hits = _hits(top, relevant)[asked]                                                    # [asked, k]
    if not len(hits):
        return {f"{name}@{k}": float("nan") for k in cutoffs for name in ("recall", "ndcg", "mrr")}
    discounts = 1.0 / np.log2(np.arange(2, top.shape[1] + 2))
    ideal = np.cumsum(discounts)
    out: dict[str, float] = {}
    for k in cutoffs:
        first = np.where(hits[:, :k].any(axis=1), 1.0 / (hits[:, :k].argmax(axis=1) + 1), 0.0)
        gains = hits[:, :k] @ discounts[:k]
        out[f"recall@{k}"] = float(np.mean(hits[:, :k].sum(axis=1) / counts[asked]))
        out[f"ndcg@{k}"] = float(np.mean(gains / ideal[np.minimum(counts[asked], k) - 1]))
        out[f"mrr@{k}"] = float(np.mean(first))
    return out


def coverage(top: np.ndarray, corpus: int, cutoffs: tuple[int, ...]) -> dict[str, float]:
    """coverage@k: share of the corpus that is among the first k of at least one query.

    It grows with the number of queries: compare it only between models that answered the same ones.

    Args:
      top: int64 [queries, largest cutoff], -1 where a list is shorter.
      corpus: number of items.
      cutoffs: values of k.
    """
    return {f"coverage@{k}": len(np.unique(top[:, :k][top[:, :k] >= 0])) / corpus for k in cutoffs}


def recall_by_frequency(top: np.ndarray, relevant: Interactions, frequency: np.ndarray, bounds: tuple[int, ...],
                        cutoffs: tuple[int, ...]) -> list[dict[str, float]]:
    """Recall within groups of relevant items that are about equally frequent in training.

    Within a group recall@k counts only its items, as relevant and as found, and is the mean over the queries that have
    one. The lists themselves are those of the full corpus.

    Args:
      top: int64 [queries, largest cutoff], best first.
      relevant: items that should be found.
      frequency: int [corpus], how often training saw each item.
      bounds: ascending; group g holds the items with ``bounds[g - 1] <= frequency < bounds[g]``, the first starts at 0
        and a last one has no end.
      cutoffs: values of k.

    Returns:
      For each group "from" and "to" (exclusive, infinite in the last), "relevant" (pairs that should be found) and
      recall@k.
    """
    groups = np.searchsorted(bounds, frequency[relevant.items], side="right")
    edges = [0, *bounds, float("inf")]
    out = []
    for group in range(len(bounds) + 1):
        kept = groups == group
        part = Interactions.from_pairs(relevant.queries[kept], relevant.items[kept], len(relevant.counts))
        recalls = {name: value for name, value in retrieval_metrics(top, part, cutoffs).items() if "recall" in name}
        out.append({"from": edges[group], "to": edges[group + 1], "relevant": int(kept.sum()), **recalls})
    return out


def _hits(top: np.ndarray, relevant: Interactions) -> np.ndarray:
    """bool [queries, k]: whether each listed item is relevant."""
    span = int(max(top.max(initial=-1), relevant.items.max(initial=-1))) + 2
    listed = np.arange(len(top))[:, None] * span + top + 1
    wanted = relevant.queries * span + relevant.items + 1
    return np.isin(listed, wanted)
