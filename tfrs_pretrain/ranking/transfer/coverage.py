"""Share of impressions and ids whose table row is pretrained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
from rich.text import Text

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.data.joins import PRETRAINED_BOTH, PRETRAINING_JOINS
from tfrs_pretrain.data.pretraining_reach import low_coverage_warnings
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.progress import console, print_warning
from tfrs_pretrain.ranking.transfer.pretrained_rows import is_pretrained
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, USER_ID, USER_ROW

MIN_PENDING = 1 << 20  # hashes that are collected before they are merged
BATCH_SIZE = 8192  # larger batches exceed the cache and take twice as long


def coverage(dataset: Dataset, split: str, embeddings: Embeddings | None = None) -> dict[str, float]:
    """Return the shares of a split that start at a pretrained row, counted when the dataset was built or here.

    Returns:
      for each ID space ``<space>_impressions``, the share of impressions whose row is pretrained; ``impressions``, the
      share with both rows pretrained; if counted here, also ``<space>_ids``, the share of distinct ids. The shares are
      counted here for datasets that did not count them, and for embeddings that started from earlier ones.
    """
    counted = dataset.info["splits"][split].get("coverage")
    if counted is None or (embeddings and any(embeddings.trained_rows(name) is not None for name in embeddings.tables)):
        return _count(dataset, split, embeddings)
    shares = {f"{join.space}_impressions": counted[join.name] for join in PRETRAINING_JOINS}
    return shares | {"impressions": counted[PRETRAINED_BOTH]}


def _count(dataset: Dataset, split: str, embeddings: Embeddings | None) -> dict[str, float]:
    """Count the shares by reading all impressions; memory: bytes per row, and a hash per unknown id."""
    ids = {USER_ROW: USER_ID, ITEM_ROW: ITEM_ID}
    spaces = {space: _SpaceCoverage(is_pretrained(dataset, space, embeddings), dataset.vocabulary(space).oov_rows)
              for space in ids}
    num_both, columns = 0, (*ids, *ids.values())
    for batch in evaluation_batches(dataset, split, batch_size=BATCH_SIZE, columns=columns).as_numpy_iterator():
        masks = [found.add(batch[space], batch[ids[space]]) for space, found in spaces.items()]
        num_both += int(np.count_nonzero(np.logical_and(*masks)))
    total, shares = dataset.num_examples(split), dict[str, float]()
    for space, found in spaces.items():
        shares |= {f"{space}_impressions": found.num_pretrained / total, f"{space}_ids": found.share_of_ids()}
    return shares | {"impressions": num_both / total}


class _SpaceCoverage:
    """Counts of the impressions and distinct ids of one ID space.

    An id in the vocabulary has a row of its own. Others share rows, which are never pretrained; they are told apart by
    their hash.

    Args:
      pretrained: bool [num_rows].
      oov_rows: number of shared rows, the first ones.
    """

    def __init__(self, pretrained: np.ndarray, oov_rows: int):
        self.num_pretrained = 0
        self._pretrained, self._occurs, self._oov_rows = pretrained, np.zeros(len(pretrained), bool), oov_rows
        self._unknown = [np.empty(0, np.uint64)]  # hashes of unknown ids; those of the first part are distinct

    def add(self, rows: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Count a batch of rows and raw ids [n]; returns bool [n]: the row is pretrained."""
        self._occurs[rows] = True
        self._unknown.append(_hash(ids[rows < self._oov_rows]))
        if sum(map(len, self._unknown[1:])) > max(len(self._unknown[0]), MIN_PENDING):
            self._unknown = [np.unique(np.concatenate(self._unknown))]
        mask: np.ndarray = self._pretrained[rows]
        self.num_pretrained += int(np.count_nonzero(mask))
        return mask

    def share_of_ids(self) -> float:
        """Return the share of the distinct ids whose row is pretrained."""
        num_known = np.count_nonzero(self._occurs[self._oov_rows:])
        num_ids = num_known + len(np.unique(np.concatenate(self._unknown)))
        return float(np.count_nonzero(self._pretrained & self._occurs) / num_ids)


def _hash(ids: np.ndarray) -> np.ndarray:
    """Return uint64 [n] of raw ids, which are integers or UTF-8 bytes."""
    return hash_ids(pa.array(ids, pa.binary()).cast(pa.string()) if ids.dtype == object else ids)


def print_coverage(coverages: Mapping[str, Mapping[str, float]], spaces: Iterable[str]) -> None:
    """Print the coverage of each split, and warn if few training impressions have pretrained rows.

    Args:
      coverages: split -> ``coverage``.
      spaces: the ID spaces whose tables start at pretrained rows.
    """
    for split, shares in coverages.items():
        ids = ", ".join(f"{shares[f'{space}_ids']:.1%} of {space}s" for space in (USER_ROW, ITEM_ROW)
                        if f"{space}_ids" in shares)
        text = (f"{split}: {f'pretrained rows for {ids}; ' if ids else ''}"
                f"{shares['user_impressions']:.1%} of impressions have a pretrained user, "
                f"{shares['item_impressions']:.1%} a pretrained item, {shares['impressions']:.1%} both")
        console.print(Text(text, style="dim"), soft_wrap=True)
    for line in low_coverage_warnings({space: coverages["train"][f"{space}_impressions"] for space in spaces}):
        print_warning(line)
