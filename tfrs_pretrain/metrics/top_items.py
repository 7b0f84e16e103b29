"""Exact top-k items by inner product over the full corpus, in memory bounded by the block size."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from tfrs_pretrain.metrics.interactions import Interactions


def top_items(queries: np.ndarray, items: np.ndarray, k: int, seen: Interactions, *, query_block: int = 512,
              item_block: int = 1024) -> np.ndarray:
    """Find the k items with the largest inner product for each query by comparing all items.

    Args:
      queries: float [queries, dim].
      items: float [items, dim].
      k: length of each list.
      seen: items to leave out of each query's list.
      query_block: maximum number of queries scored together.
      item_block: items scored together; each core holds query_block * item_block scores, which should fit its cache.

    Returns:
      int64 [queries, k], highest score first, equal scores in item order; -1 where fewer than k items remain.
    """
    cores = os.cpu_count() or 1
    size = max(1, min(query_block, -(-len(queries) // cores)))
    blocks = [slice(start, start + size) for start in range(0, len(queries), size)]
    # Threads suffice because numpy releases the interpreter lock in every large operation. BLAS is limited to one
    # thread each: its own threads would mostly wait for each other.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores) as pool:
        lists = list(pool.map(lambda block: _top_of_block(queries[block], items, k, seen.slice(block.start, block.stop),
                                                          item_block), blocks))
    return np.concatenate(lists) if lists else np.empty((0, k), np.int64)


def _top_of_block(queries: np.ndarray, items: np.ndarray, k: int, seen: Interactions, item_block: int) -> np.ndarray:
    dtype = np.result_type(queries, items)
    lists = _TopLists(np.full((len(queries), k), -np.inf, dtype), np.full((len(queries), k), -1, np.int64))
    by_item = np.argsort(seen.items, kind="stable")
    seen_items, seen_queries = seen.items[by_item], seen.queries[by_item]
    buffer = np.empty(len(queries) * item_block, dtype)
    for start in range(0, len(items), item_block):
        block = items[start:start + item_block]
        scores = buffer[:len(queries) * len(block)].reshape(len(queries), len(block))
        np.matmul(queries, block.T, out=scores)                                           # [queries, item_block]
        inside = slice(*np.searchsorted(seen_items, (start, start + item_block)))
        scores[seen_queries[inside], seen_items[inside] - start] = -np.inf
        lists.offer(scores, start)
    lists.merge()
    return lists.items


class _TopLists:
    """The highest-scored items so far of each query, and candidates that are not yet merged into them.

    Args:
      scores: float [queries, k], descending; -inf where a list is shorter.
      items: int64 [queries, k].
    """

    def __init__(self, scores: np.ndarray, items: np.ndarray):
        self.scores, self.items = scores, items
        self._pending: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # query, item, score, by (query, item)

    def offer(self, scores: np.ndarray, start: int) -> None:
        """Record candidates from float [queries, n] scores of the items ``start`` to ``start + n - 1``."""
        k, lowest = self.scores.shape[1], self.scores[:, -1:]
        # Later items lose ties, so only a larger score enters a full list.
        enters = scores > lowest
        if scores.shape[1] > k and np.isneginf(lowest).any():
            enters &= scores >= -np.partition(-scores, k - 1, axis=1)[:, k - 1:k]
        queries, offsets = np.divmod(np.flatnonzero(enters), scores.shape[1])
        self._pending.append((queries, offsets + start, scores[queries, offsets]))
        # Rare merges let more candidates in that are later discarded; frequent merges sort more often. Merging once as
        # many candidates are pending as are listed happens about each time the number of items seen has doubled.
        if sum(len(queries) for queries, _, _ in self._pending) >= self.scores.size:
            self.merge()

    def merge(self) -> None:
        """Merge the pending candidates into the lists."""
        if not self._pending:
            return
        queries, items, scores = (np.concatenate(arrays) for arrays in zip(*self._pending, strict=True))
        self._pending = []
        order = np.argsort(queries, kind="stable")
        touched, first, counts = np.unique(queries[order], return_index=True, return_counts=True)
        if not len(touched):
            return
        # One padded line a query: the list, then the candidates in item order, so a stable sort keeps ties in order.
        k = self.scores.shape[1]
        line = np.repeat(np.arange(len(touched)), counts)
        position = k + np.arange(len(queries)) - np.repeat(first, counts)
        shape = (len(touched), k + counts.max())
        all_scores, all_items = np.full(shape, -np.inf, scores.dtype), np.full(shape, -1, np.int64)
        all_scores[:, :k], all_items[:, :k] = self.scores[touched], self.items[touched]
        all_scores[line, position], all_items[line, position] = scores[order], items[order]
        ranked = np.argsort(-all_scores, axis=1, kind="stable")[:, :k]
        self.scores[touched] = np.take_along_axis(all_scores, ranked, axis=1)
        self.items[touched] = np.take_along_axis(all_items, ranked, axis=1)
