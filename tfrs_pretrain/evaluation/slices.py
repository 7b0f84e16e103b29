"""Slices of the impressions that are evaluated separately: rare items, new items, new users, values of a feature."""

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
    """One partition of the impressions.

    Attributes:
      name: of the partition, such as ``item_frequency`` or a feature.
      parts: names of the parts.
      codes: int [n], index of each impression's part; -1 for an impression in no part.
    """

    name: str
    parts: tuple[str, ...]
    codes: np.ndarray

    def positions(self, part: int) -> np.ndarray:
        """Return int64, the positions of the impressions in a part."""
        return np.flatnonzero(self.codes == part)

    def only(self, parts: Sequence[str]) -> Slicing:
        """Select parts by name; a part that does not exist has no impressions."""
        index = {name: number for number, name in enumerate(parts)}
        return Slicing(self.name, tuple(parts), np.array([index.get(name, -1) for name in self.parts])[self.codes])

    def largest(self, limit: int) -> Slicing:
        """Select the ``limit`` largest parts, largest first, and merge all others into one last part."""
        sizes = np.bincount(self.codes, minlength=len(self.parts))
        order = np.lexsort((np.arange(len(sizes)), -sizes))
        retained, others = order[:limit], order[limit:]
        new_codes = np.full(len(self.parts), len(retained))
        new_codes[retained] = np.arange(len(retained))
        names = [self.parts[part] for part in retained]
        return Slicing(self.name, (*names, *([f"{len(others)} others"] if len(others) else [])), new_codes[self.codes])


def by_frequency(counts: np.ndarray, starts: Sequence[int] = FREQUENCY_STARTS) -> Slicing:
    """Slice by the number of engagements of the item in the pretraining window, rarest first.

    Args:
      counts: int [n] engagements of each impression's item; 0 for an item outside the vocabulary.
      starts: first count of each bucket, strictly ascending from 0.

    Raises:
      ValueError: ``starts`` does not ascend from 0.
    """
    if not starts or starts[0] != 0 or list(starts) != sorted(set(starts)):
        raise ValueError(f"bucket starts must rise from 0, not {tuple(starts)}")
    return Slicing("item_frequency", tuple(_bucket_name(*bounds) for bounds in _bounds(starts)),
                   np.searchsorted(np.asarray(starts), counts, side="right") - 1)


def by_novelty(name: str, counts: np.ndarray) -> Slicing:
    """Slice into ids without engagements in the pretraining window ("new"), whose rows start at random, and "known".

    Args:
      name: of the partition.
      counts: int [n] engagements of each impression's item or user; 0 outside the vocabulary.
    """
    return Slicing(name, ("new", "known"), (counts > 0).astype(np.int64))


def frequency_slices(labels: np.ndarray, scores: np.ndarray, users: np.ndarray, counts: np.ndarray,
                     starts: Sequence[int] = FREQUENCY_STARTS, requests: np.ndarray | None = None,
                     weights: np.ndarray | None = None) -> list[dict[str, Any]]:
    """Compute the metrics of each bucket of ``by_frequency``.

    A slice's AUC ranks within the slice, so slices do not average to the whole. With few positives it is noisy: read it
    together with ``positives``. Metrics that need both labels are None where there is only one.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      users: int [n] user numbers.
      counts: int [n], see ``by_frequency``.
      starts: first count of each bucket, strictly ascending from 0.
      requests: int [n] request numbers; None if unknown.
      weights: float [n] of the impressions; None counts each once.

    Returns:
      for each bucket its name ``slice``, its ``first`` and ``last`` count (None: unbounded) and ``ranking_metrics``.

    Raises:
      ValueError: ``starts`` does not ascend from 0.
    """
    slicing, slices = by_frequency(counts, starts), []
    for part, (first, last) in enumerate(_bounds(starts)):
        inside = slicing.positions(part)
        slices.append({"slice": slicing.parts[part], "first": first, "last": last, **ranking_metrics(
            labels[inside], scores[inside], users[inside], None if requests is None else requests[inside],
            None if weights is None else weights[inside])})
    return slices


def _bounds(starts: Sequence[int]) -> list[tuple[int, int | None]]:
    """Return the first and last count of each bucket."""
    return list(zip(starts, [*(start - 1 for start in starts[1:]), None], strict=True))


def _bucket_name(first: int, last: int | None) -> str:
    if last is None:
        return f"{first}+"
    return str(first) if first == last else f"{first}-{last}"
