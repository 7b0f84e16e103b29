"""The ids of user and item: rows of the tables that both stages train."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfrs_pretrain.features.base import FeatureKind, GraphLookup, Lookup, Moments, RankerSettings
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.features.record_column import RecordColumn

if TYPE_CHECKING:
    import tensorflow as tf


class IdKind(FeatureKind):
    """An id; records have both its row, called ``name``, and the raw id, called ``raw_name``.

    Args:
      name: of the id space, its vocabulary and its table: "user" or "item"; also the side of its input.
      raw_name: column of raw ids in records, and input of the served model.
      dtype: of the raw id.
    """

    privileged = False

    def __init__(self, name: str, raw_name: str, dtype: str):
        self.name, self._raw_name, self.dtype = name, raw_name, dtype

    @property
    def raw_name(self) -> str:
        return self._raw_name

    @property
    def record_column(self) -> RecordColumn:
        return RecordColumn("int64", vocabulary=self.name)

    def ranker_input(self, settings: RankerSettings, moments: Moments) -> RowInput:
        del settings, moments
        return RowInput.single(self.name)

    @property
    def raw_input(self) -> RawInput:
        return RawInput(self.dtype, side=self.name, required=True)

    def graph_column(self, raw: tf.Tensor, lookup: GraphLookup) -> tf.Tensor:
        return lookup(self.name, raw)

    def batch_column(self, raw: np.ndarray, lookup: Lookup) -> np.ndarray:
        return self.record_column.dense_array(lookup(self.name, self.raw_input.to_arrow(raw)))
