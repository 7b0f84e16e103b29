"""Share of impressions and ids whose table row is pretrained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from rich.text import Text

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.data.joins import PRETRAINED_BOTH, PRETRAINING_JOINS
from tfrs_pretrain.data.pretraining_reach import low_coverage_warnings
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.progress import console, print_warning
from tfrs_pretrain.ranking.transfer.pretrained_rows import is_pretrained
from tfrs_pretrain.schema import ITEM_ID, ITEM_ROW, USER_ID, USER_ROW

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
    """Count the shares by reading all impressions."""
    spaces = {USER_ROW: USER_ID, ITEM_ROW: ITEM_ID}
    columns = (*spaces, *spaces.values())
    batches = list(evaluation_batches(dataset, split, batch_size=BATCH_SIZE, columns=columns).as_numpy_iterator())
    shares: dict[str, float] = {}
    both = np.ones(dataset.num_examples(split), bool)
    for space, ids in spaces.items():
        pretrained = is_pretrained(dataset, space, embeddings)[np.concatenate([batch[space] for batch in batches])]
        first = ~pd.Series(np.concatenate([batch[ids] for batch in batches])).duplicated().to_numpy()
        shares |= {f"{space}_impressions": float(pretrained.mean()), f"{space}_ids": float(pretrained[first].mean())}
        both &= pretrained
    return shares | {"impressions": float(both.mean())}


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
