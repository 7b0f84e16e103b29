"""Impressions sorted by group and score, as blocks of equal score: the basis of every exact ranking metric."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pandas as pd


@dataclasses.dataclass(frozen=True)
class ScoreBlocks:
    """Groups of impressions (users, requests), each a sequence of blocks of equal score, lowest score first.

    Attributes:
      first_block: int64 [groups], index of the first block of each group.
      representative: int64 [groups], position of one impression of each group.
      sizes: [blocks], impressions in each block: int64, or float64 if impressions are weighted.
      positives: [blocks], impressions with label 1 in each block, likewise.
    """

    first_block: np.ndarray
    representative: np.ndarray
    sizes: np.ndarray
    positives: np.ndarray

    @classmethod
    def from_rows(cls, labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, order: np.ndarray | None = None,
                  weights: np.ndarray | None = None) -> ScoreBlocks:
        """Sort impressions into blocks.

        Args:
          labels: [n] of 0 and 1.
          scores: [n].
          groups: [n] integer group numbers.
          order: int [n] positions sorted by ascending score, if already known.
          weights: float64 [n] of the impressions; None counts each once.
        """
        order = _sorted_by_group(groups, np.argsort(scores) if order is None else order)
        blocks, starts = _block_starts(groups, scores, order)
        first_block, representative = np.searchsorted(blocks, starts), order[starts]
        if weights is not None:
            sizes, positive = weights[order], np.where(labels[order] > 0, weights[order], 0.0)
            if len(order):
                sizes, positive = (np.add.reduceat(values, blocks) for values in (sizes, positive))
            return cls(first_block, representative, sizes, positive)
        running = np.zeros(len(order) + 1, np.int64)
        np.cumsum(labels[order] > 0, out=running[1:])
        del order  # each array of [n] counts
        bounds = np.append(blocks, len(running) - 1)
        return cls(first_block, representative, np.diff(bounds), np.diff(running[bounds]))

    @functools.cached_property
    def group_sizes(self) -> np.ndarray:
        """[groups]: impressions in each group."""
        return self.sums(self.sizes)

    @functools.cached_property
    def group_positives(self) -> np.ndarray:
        """[groups]: impressions with label 1 in each group."""
        return self.sums(self.positives)

    @functools.cached_property
    def has_both_labels(self) -> np.ndarray:
        """bool [groups]: the group has a positive and a negative; otherwise every order of it is equally good."""
        return (self.group_positives > 0) & (self.group_positives < self.group_sizes)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the [groups] sums of [blocks] values."""
        if values.dtype == np.int64:  # a difference of running sums is exact for integers, and faster
            running = np.concatenate([[0], np.cumsum(values)])
            differences: np.ndarray = np.diff(running[np.append(self.first_block, len(values))])
            return differences
        return np.add.reduceat(values, self.first_block) if len(self.first_block) else values[:0]

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Return [blocks]: for each block the [groups] value of its group."""
        repeated: np.ndarray = np.repeat(values, np.diff(np.append(self.first_block, len(self.sizes))))
        return repeated

    def auc(self) -> np.ndarray:
        """Return float64 [groups], the AUC within each group, ties one half; NaN where all labels are equal.

        A positive wins against the negatives in lower blocks of its group and ties with those of its own block.
        """
        negatives = self.sizes - self.positives
        before = np.cumsum(negatives) - negatives
        before -= self.spread(before[self.first_block])
        doubled = before  # in place: 2 * before + negatives, times the positives; exact integers
        doubled *= 2
        doubled += negatives
        doubled *= self.positives
        pairs = self.group_positives * (self.group_sizes - self.group_positives)
        auc: np.ndarray = np.divide(self.sums(doubled) / 2, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
        return auc


def _sorted_by_group(groups: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Sort ``order`` stably by group, with (group number, index in ``order``) packed into one integer key."""
    if not len(groups) or groups.min() == groups.max():
        return order
    if groups.min() < 0 or groups.max() >= 2**31:
        groups = pd.factorize(groups)[0]
    keys = groups[order].astype(np.int64, copy=False)  # a new array in any case, changed in place
    keys <<= 32
    keys |= np.arange(len(order))
    keys.sort()
    keys &= 2**32 - 1
    by_group: np.ndarray = order[keys]
    return by_group


def _block_starts(groups: np.ndarray, scores: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 [blocks] and [groups]: the places in ``order`` where a block and where a group starts."""
    new_group = _changes(groups[order])
    new_block = _changes(scores[order])
    new_block |= new_group
    return np.flatnonzero(new_block), np.flatnonzero(new_group)


def _changes(values: np.ndarray) -> np.ndarray:
    """Return bool [n]: the value differs from the one before it; true for the first."""
    return np.concatenate([np.ones(min(1, len(values)), bool), values[1:] != values[:-1]])
