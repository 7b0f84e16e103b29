"""The joins of impressions: with the engagements of the pretraining window, and with the side tables.

The coverage of a join is the share of impressions that find a match.
"""

from __future__ import annotations

from typing import NamedTuple

from tfrs_pretrain.columns import ITEM_ID, USER_ID


class Join(NamedTuple):
    """A join of impressions by an id.

    Attributes:
      space: id space: "user" or "item".
      table: side table, "users" or "items"; None: the engagements of the pretraining window.
    """

    space: str
    table: str | None = None

    @property
    def name(self) -> str:
        """Key in ``dataset.min_coverage`` and in the coverage of a split in dataset_info.json."""
        return f"{self.table}_table" if self.table else f"pretrained_{self.space}s"

    @property
    def id_column(self) -> str:
        """Id column of the impressions."""
        return {"user": USER_ID, "item": ITEM_ID}[self.space]


PRETRAINING_JOINS = Join("user"), Join("item")
SIDE_TABLE_JOINS = Join("user", "users"), Join("item", "items")
PRETRAINED_BOTH = "pretrained_both"
"""Key of the share of impressions whose user and item both have engagements in the pretraining window."""
