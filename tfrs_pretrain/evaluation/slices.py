"""Parts of the impressions that are judged apart: rare items, new items, new users, values of a feature."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrs_pretrain.metrics.ranking import ranking_metrics

# First count of each bucket: 0 (unseen), 1-4, 5-19, 20-99, 100 and more.
FREQUENCY_STARTS = (0, 1, 5, 20, 100)


@dataclasses.dataclass(frozen=True)
class Slicing:
    """One way to cut the impressions.

    Attributes:
      name: of the cut, such as ``item_frequency`` or a feature.
      parts: names of the parts.
      codes: int [n], the part of each impression.
    """

    name: str
    parts: tuple[str, ...]
    codes: np.ndarray

    def rows(self, part: int) -> np.ndarray:
        """int64: the impressions of a part."""
        return np.flatnonzero(self.codes == part)

    def only(self, parts: Sequence[str]) -> Slicing:
        """Some of the parts; one that does not exist has no impressions."""
        place = {name: number for number, name in enumerate(parts)}
        return Slicing(self.name, tuple(parts), np.array([place.get(name, -1) for name in self.parts])[self.codes])

    def largest(self, limit: int) -> Slicing:
        """At most ``limit`` parts, largest first; the impressions of all others are one more, the last."""
        sizes = np.bincount(self.codes, minlength=len(self.parts))
        order = np.lexsort((np.arange(len(sizes)), -sizes))
        kept, others = order[:limit], order[limit:]
        places = np.full(len(self.parts), len(kept))
        places[kept] = np.arange(len(kept))
        names = [self.parts[part] for part in kept]
        return Slicing(self.name, (*names, *([f"{len(others)} others"] if len(others) else [])), places[self.codes])


def by_frequency(counts: np.ndarray, starts: Sequence[int] = FREQUENCY_STARTS) -> Slicing:
    """Cuts by how often the item was engaged with in the pretraining window, rarest first.

    Args:
      counts: [n] engagements of the impression's item; 0 for an item outside the vocabulary.
      starts: first count of each bucket, rising, the first 0.

    Raises:
      ValueError: starts do not rise from 0.
    """
    if not starts or starts[0] != 0 or list(starts) != sorted(set(starts)):
        raise ValueError(f"bucket starts must rise from 0, not {tuple(starts)}")
    return Slicing("item_frequency", tuple(_bucket_name(*ends) for ends in _ends(starts)),
                   np.searchsorted(np.asarray(starts), counts, side="right") - 1)


def by_novelty(name: str, counts: np.ndarray) -> Slicing:
    """Cuts into ids that the pretraining window does not know (count 0), which start at random rows, and the rest.

    Args:
      name: of the cut.
      counts: [n] engagements of the impression's item, or user; 0 outside the vocabulary.
    """
    return Slicing(name, ("new", "known"), (counts > 0).astype(np.int64))


def frequency_slices(labels: np.ndarray, scores: np.ndarray, users: np.ndarray, counts: np.ndarray,
                     starts: Sequence[int] = FREQUENCY_STARTS, requests: np.ndarray | None = None
                     ) -> list[dict[str, Any]]:
    """Metrics of the impressions of each bucket of ``by_frequency``.

    A slice's AUC ranks inside the slice only, so slices do not average to the whole. With few positives it is noisy:
    read it beside ``positives``. Metrics that one label alone leaves undefined are None.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      users: [n] integers that name the user.
      counts: [n], see ``by_frequency``.
      starts: first count of each bucket, rising, the first 0.
      requests: [n] integers that name the request, if known.

    Returns:
      per bucket its name, ``first`` and ``last`` count (None: no upper end) and ``ranking_metrics``.

    Raises:
      ValueError: starts do not rise from 0.
    """
    cut, slices = by_frequency(counts, starts), []
    for part, (first, last) in enumerate(_ends(starts)):
        rows = cut.rows(part)
        slices.append({"slice": cut.parts[part], "first": first, "last": last, **ranking_metrics(
            labels[rows], scores[rows], users[rows], None if requests is None else requests[rows])})
    return slices


def _ends(starts: Sequence[int]) -> list[tuple[int, int | None]]:
    """First and last count of each bucket."""
    return list(zip(starts, [*(start - 1 for start in starts[1:]), None], strict=True))


def _bucket_name(first: int, last: int | None) -> str:
    if last is None:
        return f"{first}+"
    return str(first) if first == last else f"{first}-{last}"
