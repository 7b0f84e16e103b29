"""Metrics by how often the item was engaged with in the pretraining window: where does pretraining help?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrs_pretrain.metrics.ranking import ranking_metrics

# First count of each bucket: 0 (unseen), 1-4, 5-19, 20-99, 100 and more.
FREQUENCY_STARTS = (0, 1, 5, 20, 100)


def frequency_slices(labels: np.ndarray, scores: np.ndarray, users: np.ndarray, counts: np.ndarray,
                     starts: Sequence[int] = FREQUENCY_STARTS) -> list[dict[str, Any]]:
    """Metrics of the impressions of each bucket, rarest first.

    A slice's AUC ranks inside the slice only, so slices do not average to the whole. With few positives it is noisy:
    read it beside ``positives``. Metrics that one label alone leaves undefined are None.

    Args:
      labels: [n] of 0 and 1.
      scores: [n] probabilities.
      users: [n] integers that name the user.
      counts: [n] engagements of the impression's item in the pretraining window; 0 for an item outside the vocabulary.
      starts: first count of each bucket, rising, the first 0.

    Returns:
      per bucket its name, ``first`` and ``last`` count (None: no upper end) and ``ranking_metrics``.

    Raises:
      ValueError: starts do not rise from 0.
    """
    if not starts or starts[0] != 0 or list(starts) != sorted(set(starts)):
        raise ValueError(f"bucket starts must rise from 0, not {tuple(starts)}")
    bucket = np.searchsorted(np.asarray(starts), counts, side="right") - 1
    ends = [start - 1 for start in starts[1:]] + [None]
    slices = []
    for index, (first, last) in enumerate(zip(starts, ends, strict=True)):
        rows = bucket == index
        slices.append({"slice": _name(first, last), "first": first, "last": last,
                       **ranking_metrics(labels[rows], scores[rows], users[rows])})
    return slices


def _name(first: int, last: int | None) -> str:
    if last is None:
        return f"{first}+"
    return str(first) if first == last else f"{first}-{last}"
