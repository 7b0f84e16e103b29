"""Exposures derived from purchases and promotions, for logs that record no impressions.

A household that shopped in a store in a week could see what the store promoted that week. Promoted products
that it bought are positives; negatives are sampled from the promoted products that it did not buy.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Promotions:
    """Promoted products, grouped by place (a store in a week).

    Attributes:
      place: int64 [n] ascending.
      product: int64 [n] ascending within a place, unique there.
    """

    place: np.ndarray
    product: np.ndarray

    def find(self, place: np.ndarray, product: np.ndarray) -> np.ndarray:
        """Returns the position of each (place, product), int64 [m]; -1 if it was not promoted there."""
        base = max(self.product.max(initial=0), product.max(initial=0)) + 1
        keys, requested = self.place * base + self.product, place * base + product
        position = np.searchsorted(keys, requested)
        position[position == len(keys)] = 0
        matches = keys[position] == requested if len(keys) else np.zeros(len(requested), bool)
        return np.where(matches, position, -1)

    def segments(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the first position and the number of the products promoted at each place, both int64 [m]."""
        first = np.searchsorted(self.place, place, "left")
        return first, np.searchsorted(self.place, place, "right") - first


def sample_negatives(first: np.ndarray, available: np.ndarray, *, visit: np.ndarray, positive: np.ndarray,
                     per_positive: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Samples negatives for each visit, uniformly without replacement from its segment without its positives.

    Args:
      first, available: int64 [visits], the segment of promotions that each visit could see.
      visit, positive: int64 [positives], visit and promotion position of each bought product, unique pairs.
      per_positive: negatives per positive; fewer if the segment has too few products.
      generator: source of all random numbers.

    Returns:
      visit and promotion position of each negative, both int64, ordered by visit and position.
    """
    positives = np.bincount(visit, minlength=len(first))
    requested = np.minimum(per_positive * positives, available - positives)
    # Drawing until enough values are distinct is slow if most of a segment is requested; such segments are permuted.
    dense = 2 * requested > available - positives
    base = int((first + available).max(initial=0)) + 1
    excluded = np.sort(visit * base + positive)
    segments: dict[str, Any] = {"first": first, "available": available, "excluded": excluded, "base": base}
    permuted = _permute(np.where(dense, requested, 0), generator, **segments)
    drawn = _draw(np.where(dense, 0, requested), generator, **segments)
    keys = np.sort(np.concatenate([permuted, drawn]))
    return keys // base, keys % base


def _permute(requested: np.ndarray, generator: np.random.Generator, *, first: np.ndarray, available: np.ndarray,
             excluded: np.ndarray, base: int) -> np.ndarray:
    """Returns the keys of the first ``requested`` of each segment in random order, without the sorted ``excluded``."""
    chosen = np.flatnonzero(requested)
    sizes = available[chosen]
    visit = np.repeat(chosen, sizes)
    keys = visit * base + np.repeat(first[chosen], sizes) + within(sizes)
    free = ~is_in(keys, excluded)
    keys, visit = keys[free], visit[free]
    keys = keys[np.lexsort((generator.random(len(keys)), visit))]
    chosen_keys: np.ndarray = keys[within(np.bincount(visit, minlength=len(first))) < requested[visit]]
    return chosen_keys


def _draw(requested: np.ndarray, generator: np.random.Generator, *, first: np.ndarray, available: np.ndarray,
          excluded: np.ndarray, base: int) -> np.ndarray:
    """Draws keys with replacement and drops repeats and the sorted ``excluded``, until each visit has ``requested``.

    Each round draws the missing number of keys, so dropping repeats keeps the sample uniform.
    """
    keys = np.empty(0, np.int64)
    missing = requested
    while missing.any():
        visit = np.repeat(np.arange(len(first)), missing)
        drawn = np.unique(visit * base + first[visit] + generator.integers(0, available[visit]))
        fresh = drawn[~is_in(drawn, excluded) & ~is_in(drawn, keys)]
        keys = np.sort(np.concatenate([keys, fresh]))
        missing = requested - np.bincount(keys // base, minlength=len(first))
    return keys


def within(sizes: np.ndarray) -> np.ndarray:
    """Returns 0 .. size - 1 for each size in turn, int64 [sum of sizes]."""
    ends = np.cumsum(sizes)
    numbers: np.ndarray = np.arange(sizes.sum()) - np.repeat(ends - sizes, sizes)
    return numbers


def is_in(keys: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Returns which keys occur in a sorted array, bool [n]."""
    if not len(ordered):
        return np.zeros(len(keys), bool)
    position = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    occurs: np.ndarray = ordered[position] == keys
    return occurs
