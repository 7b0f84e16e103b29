"""Rows ordered by (group, score), as runs of equal score: what every exact ranking metric is counted from."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pandas as pd


@dataclasses.dataclass(frozen=True)
class ScoreBlocks:
    """Groups of rows (users, requests), each a sequence of blocks of equal score, lowest first.

    Attributes:
      first_block: int64 [groups], first block of each group.
      row: int64 [groups], one row of each group.
      sizes: int64 [blocks], rows of each block.
      positives: int64 [blocks], rows of label 1 in each block.
    """

    first_block: np.ndarray
    row: np.ndarray
    sizes: np.ndarray
    positives: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, order: np.ndarray | None = None
           ) -> ScoreBlocks:
        """Sorts the rows.

        Args:
          labels: [n] of 0 and 1.
          scores: [n].
          groups: [n] integers that name the group.
          order: [n] rows by rising score, where they are known already.
        """
        order = _by_group(groups, np.argsort(scores) if order is None else order)
        groups, scores = groups[order], scores[order]
        new_group = _changes(groups)
        blocks = np.flatnonzero(new_group | _changes(scores))
        starts = np.flatnonzero(new_group)
        ends = np.append(blocks[1:], len(order)) if len(order) else blocks
        positives = np.concatenate([[0], np.cumsum(labels[order] > 0)])
        return cls(np.searchsorted(blocks, starts), order[starts], ends - blocks, positives[ends] - positives[blocks])

    @functools.cached_property
    def group_sizes(self) -> np.ndarray:
        """int64 [groups]."""
        return self.sums(self.sizes)

    @functools.cached_property
    def group_positives(self) -> np.ndarray:
        """int64 [groups]."""
        return self.sums(self.positives)

    @functools.cached_property
    def both_labels(self) -> np.ndarray:
        """bool [groups]: elsewhere every order is equally good."""
        return (self.group_positives > 0) & (self.group_positives < self.group_sizes)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """[groups] sums of values [blocks]."""
        if values.dtype == np.int64:  # a difference of running sums is exact here, and faster
            running = np.concatenate([[0], np.cumsum(values)])
            return np.diff(running[np.append(self.first_block, len(values))])
        return np.add.reduceat(values, self.first_block) if len(self.first_block) else values[:0]

    def spread(self, values: np.ndarray) -> np.ndarray:
        """[blocks]: the value [groups] of each block's group."""
        return np.repeat(values, np.diff(np.append(self.first_block, len(self.sizes))))

    def auc(self) -> np.ndarray:
        """float64 [groups]: AUC within each group, ties one half; NaN where a group has one label only.

        A positive wins against the negatives in lower blocks of its group and ties with those of its own block.
        """
        negatives = self.sizes - self.positives
        before = np.cumsum(negatives) - negatives
        doubled = self.positives * (2 * (before - self.spread(before[self.first_block])) + negatives)  # exact integers
        pairs = self.group_positives * (self.group_sizes - self.group_positives)
        return np.divide(self.sums(doubled) / 2, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def _by_group(groups: np.ndarray, order: np.ndarray) -> np.ndarray:
    """``order``, stably sorted by group: the group's number and the place in ``order`` make one sortable integer."""
    if not len(groups) or groups.min() == groups.max():
        return order
    if groups.min() < 0 or groups.max() >= 2**31:
        groups = pd.factorize(groups)[0]
    keys = (groups[order].astype(np.int64) << 32) | np.arange(len(order))
    keys.sort()
    return order[keys & (2**32 - 1)]


def _changes(values: np.ndarray) -> np.ndarray:
    """bool [n]: whether a value differs from the one before it; true for the first."""
    return np.concatenate([np.ones(min(1, len(values)), bool), values[1:] != values[:-1]])
