"""Histories: the items that a user engaged with before an impression, as rows of the item table.

The Beam job that joins them is ``beam_pipelines.transforms.history``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pydantic import Field

from tfrs_pretrain.columns import HISTORY, ITEM_ROW
from tfrs_pretrain.features.base import FeatureKind, GraphLookup, Lookup, Moments, RankerSettings
from tfrs_pretrain.features.graph_lists import rows_of_lists
from tfrs_pretrain.features.lists import list_column, replace_list_values
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.features.raw_input import USER, RawInput
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.features.row_values import values_of_rows
from tfrs_pretrain.strict_model import StrictModel

if TYPE_CHECKING:
    import tensorflow as tf

    from tfrs_pretrain.vocabulary import Vocabulary


class History(StrictModel):
    """Point-in-time history: what the user had engaged with strictly before an impression."""

    length: int = Field(ge=1, description="maximum number of engagements retained, the most recent in order of time")


class HistoryKind(FeatureKind):
    """A history as an input of the ranking model.

    Args:
      length: maximum number of items, the latest ones.
      item_dtype: dtype of the raw item ids.
    """

    name, privileged = HISTORY, False

    def __init__(self, length: int, item_dtype: str):
        self.length, self.item_dtype = length, item_dtype

    @property
    def record_column(self) -> RecordColumn:
        return RecordColumn("int64", self.length, ITEM_ROW)

    def ranker_input(self, settings: RankerSettings, moments: Moments) -> RowInput | None:
        """Rows of the item table itself; ``ranking.history`` names the pooling."""
        del moments
        pooling = settings.history
        return None if pooling == "none" else RowInput(HISTORY, HISTORY, ITEM_ROW, ITEM_ROW, self.length, pooling)

    @property
    def raw_input(self) -> RawInput:
        return RawInput(self.item_dtype, self.length, USER, latest=True)

    def graph_column(self, raw: tf.Tensor, lookup: GraphLookup) -> tf.Tensor:
        return rows_of_lists(raw, self.length, lambda ids: lookup(ITEM_ROW, ids), latest=True)

    def batch_column(self, raw: np.ndarray, lookup: Lookup) -> np.ndarray:
        lists = list_column(self.raw_input.to_arrow(raw), self.item_dtype, self.length, latest=True)
        return self.record_column.dense_array(replace_list_values(lists, lookup(ITEM_ROW, lists.flatten())))

    def raw_values_of_rows(self, vocabulary: Callable[[str], Vocabulary]) -> pa.Array:
        return values_of_rows(vocabulary(ITEM_ROW))
