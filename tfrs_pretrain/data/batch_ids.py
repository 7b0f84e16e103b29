"""Raw ids of the rows in a batch, for error messages."""

from __future__ import annotations

from collections.abc import Sequence

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW

_NAMED_PAIRS = 5  # enough to find the batch in the logs


def format_id_pairs(dataset: Dataset, users: Sequence[int], items: Sequence[int]) -> str:
    """Formats the first (user, item) pairs of a batch as raw ids.

    Args:
      dataset: the dataset that the batch was read from.
      users: rows of the user table.
      items: rows of the item table, one for each user.
    """
    sides = (_ids(dataset, space, rows) for space, rows in ((USER_ROW, users), (ITEM_ROW, items)))
    return ", ".join(f"({user}, {item})" for user, item in zip(*sides, strict=True))


def _ids(dataset: Dataset, space: str, rows: Sequence[int]) -> list[str]:
    vocabulary = dataset.vocabulary(space)
    return [repr(vocabulary.ids[int(row) - vocabulary.oov_rows].as_py()) if row >= vocabulary.oov_rows
            else f"out-of-vocabulary row {row}" for row in rows[:_NAMED_PAIRS]]
