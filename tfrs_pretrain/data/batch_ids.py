"""Rows of a batch as the ids that people know."""

from __future__ import annotations

from collections.abc import Sequence

from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.schema import ITEM_ROW, USER_ROW

_NAMED_PAIRS = 5  # enough to find the batch in the logs


def first_ids(dataset: Dataset, users: Sequence[int], items: Sequence[int]) -> str:
    """The first (user, item) pairs of a batch, from their rows."""
    sides = (_ids(dataset, space, rows) for space, rows in ((USER_ROW, users), (ITEM_ROW, items)))
    return ", ".join(f"({user}, {item})" for user, item in zip(*sides, strict=True))


def _ids(dataset: Dataset, space: str, rows: Sequence[int]) -> list[str]:
    vocabulary = dataset.vocabulary(space)
    return [repr(vocabulary.ids[int(row) - vocabulary.oov_rows].as_py()) if row >= vocabulary.oov_rows
            else f"out-of-vocabulary row {row}" for row in rows[:_NAMED_PAIRS]]
