"""The set of items of each query, in compressed sparse rows."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Interactions:
    """Items of each query.

    Attributes:
      offsets: int64 [queries + 1]; the items of query q are ``items[offsets[q]:offsets[q + 1]]``.
      items: int64 [n], sorted and distinct within a query.
    """

    offsets: np.ndarray
    items: np.ndarray

    @classmethod
    def from_pairs(cls, queries: np.ndarray, items: np.ndarray, n_queries: int) -> Interactions:
        """Build from integer pairs [n] in any order; repeated pairs count once."""
        pairs = np.unique(np.stack([queries, items], axis=1).astype(np.int64).reshape(-1, 2), axis=0)
        return cls(np.searchsorted(pairs[:, 0], np.arange(n_queries + 1)), pairs[:, 1])

    @property
    def counts(self) -> np.ndarray:
        """int64 [queries]: number of items of each query."""
        return np.diff(self.offsets)

    @property
    def queries(self) -> np.ndarray:
        """int64 [n]: the query of each item."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def without(self, others: Interactions) -> Interactions:
        """Remove the pairs that also occur in ``others``."""
        span = int(max(self.items.max(initial=0), others.items.max(initial=0))) + 1
        retained = ~np.isin(self.queries * span + self.items, others.queries * span + others.items)
        return Interactions.from_pairs(self.queries[retained], self.items[retained], len(self.counts))

    def slice(self, start: int, end: int) -> Interactions:
        """Select the queries ``start`` to ``end - 1``, renumbered from 0."""
        offsets = self.offsets[start:end + 1]
        return Interactions(offsets - offsets[0], self.items[offsets[0]:offsets[-1]])
