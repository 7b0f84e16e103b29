"""Exposures from purchases and promotions, for logs that record no impressions.

Whoever shopped in a store in a week could see what that store promoted that week. Promoted products that were bought
there are positives; negatives are sampled from the promoted ones that were not.
"""

from __future__ import annotations

import dataclasses

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
        """int64 [m]: position of each (place, product), -1 where it was not promoted there."""
        base = max(self.product.max(initial=0), product.max(initial=0)) + 1
        keys, wanted = self.place * base + self.product, place * base + product
        position = np.searchsorted(keys, wanted)
        position[position == len(keys)] = 0
        found = keys[position] == wanted if len(keys) else np.zeros(len(wanted), bool)
        return np.where(found, position, -1)

    def segments(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First position and number of the products promoted at each place, int64 [m] both."""
        first = np.searchsorted(self.place, place, "left")
        return first, np.searchsorted(self.place, place, "right") - first


def sample_negatives(first: np.ndarray, available: np.ndarray, *, visit: np.ndarray, positive: np.ndarray,
                     per_positive: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws negatives for each visit, uniformly without replacement from its segment less its positives.

    Args:
      first, available: int64 [visits], the segment of promotions that each visit could see.
      visit, positive: int64 [positives], visit and position in the promotions of each bought product, unique pairs.
      per_positive: negatives per positive; fewer where the segment runs out.
      generator: the only source of chance.

    Returns:
      visit and position of each negative, int64 both, ordered by visit and position.
    """
    positives = np.bincount(visit, minlength=len(first))
    wanted = np.minimum(per_positive * positives, available - positives)
    # Drawing again until enough distinct ones came is slow where most of a segment is wanted; those are permuted.
    dense = 2 * wanted > available - positives
    base = int((first + available).max(initial=0)) + 1
    taken = np.sort(visit * base + positive)
    segments: dict = {"first": first, "available": available, "taken": taken, "base": base}
    permuted = _permute(np.where(dense, wanted, 0), generator, **segments)
    drawn = _draw(np.where(dense, 0, wanted), generator, **segments)
    keys = np.sort(np.concatenate([permuted, drawn]))
    return keys // base, keys % base


def _permute(wanted: np.ndarray, generator: np.random.Generator, *, first: np.ndarray, available: np.ndarray,
             taken: np.ndarray, base: int) -> np.ndarray:
    """Keys of the first ``wanted`` of a random order of each segment, without those in ``taken`` (sorted)."""
    chosen = np.flatnonzero(wanted)
    sizes = available[chosen]
    visit = np.repeat(chosen, sizes)
    keys = visit * base + np.repeat(first[chosen], sizes) + within(sizes)
    free = ~is_in(keys, taken)
    keys, visit = keys[free], visit[free]
    keys = keys[np.lexsort((generator.random(len(keys)), visit))]
    return keys[within(np.bincount(visit, minlength=len(first))) < wanted[visit]]


def _draw(wanted: np.ndarray, generator: np.random.Generator, *, first: np.ndarray, available: np.ndarray,
          taken: np.ndarray, base: int) -> np.ndarray:
    """Keys drawn with replacement, repeats and ``taken`` (sorted) dropped, until each visit has ``wanted``.

    Each round draws as many as are still missing, so that dropping repeats keeps the sample uniform.
    """
    keys = np.empty(0, np.int64)
    missing = wanted
    while missing.any():
        visit = np.repeat(np.arange(len(first)), missing)
        drawn = np.unique(visit * base + first[visit] + generator.integers(0, available[visit]))
        fresh = drawn[~is_in(drawn, taken) & ~is_in(drawn, keys)]
        keys = np.sort(np.concatenate([keys, fresh]))
        missing = wanted - np.bincount(keys // base, minlength=len(first))
    return keys


def within(sizes: np.ndarray) -> np.ndarray:
    """int64 [sum of sizes]: 0 .. size - 1 for each size in turn."""
    ends = np.cumsum(sizes)
    return np.arange(sizes.sum()) - np.repeat(ends - sizes, sizes)


def is_in(keys: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """bool [n]: which keys occur in a sorted array."""
    if not len(ordered):
        return np.zeros(len(keys), bool)
    position = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    return ordered[position] == keys
