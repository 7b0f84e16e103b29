"""The number of passes of Stage I over the training pairs, where the configuration leaves it open.

A row must be updated often enough to leave its random initial direction, however few engagements its ID has. In six
epochs an ID with four engagements is updated 24 times: on generated logs with so few, its row remained near the initial
one, and 30 epochs instead of 6 raised the ranker's AUC by .06 (docs/method.md).
"""

from __future__ import annotations

import math

from tfrs_pretrain.config import PretrainingConfig
from tfrs_pretrain.data.dataset import Dataset

UPDATES_PER_ROW = 120
FEWEST, MOST = 6, 100


def num_epochs(settings: PretrainingConfig, dataset: Dataset, *, start_from: bool = False) -> int:
    """Return the number that is set, or the default for a dataset.

    Args:
      settings: of Stage I.
      dataset: its training pairs and IDs determine the default.
      start_from: the rows start from earlier ones, which are not random; the default is 6 then.
    """
    if settings.epochs is not None:
        return settings.epochs
    ids = max(dataset.vocabulary(space).num_ids for space in ("user", "item"))
    return FEWEST if start_from else default_num_epochs(dataset.num_examples("pairs/train"), ids)


def default_num_epochs(pairs: int, ids: int) -> int:
    """Return the least number of epochs that updates a row 120 times on average, but 6 at least and 100 at most.

    Args:
      pairs: number of training pairs; each updates one row of a table in each epoch.
      ids: number of IDs of the larger table.
    """
    return min(max(math.ceil(UPDATES_PER_ROW * ids / max(pairs, 1)), FEWEST), MOST)
