"""Categorical features: one value per impression, with a row of its own in an embedding table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tfrs_pretrain.features.base import Feature, GraphLookup, Lookup, Moments, RankerSettings, VocabularyRules
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.features.raw_input import SIDES, RawInput
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.features.row_values import values_of_rows
from tfrs_pretrain.features.values import compact_dictionary, hash_dictionary
from tfrs_pretrain.value_types import ARROW_TYPES, MISSING

if TYPE_CHECKING:
    import tensorflow as tf

    from tfrs_pretrain.vocabulary import Vocabulary


class CategoricalFeature(Feature):
    """A value with a row of its own. The missing value is "" or -1, an ordinary value."""

    kind: Literal["categorical"] = Field(description="what the values are: one value with a row of its own")
    dtype: Literal["int64", "string"] = Field(description="type of a raw value")
    min_count: int = Field(1, ge=1, description="training impressions that admit a value")
    oov_rows: int = Field(1, ge=1, description="rows shared, by hash, by values outside the vocabulary")

    @property
    def vocabulary(self) -> VocabularyRules:
        return VocabularyRules(self.dtype, self.oov_rows, self.min_count)

    def clean(self, column: pa.Array) -> pa.Array:
        """A dictionary array, null where missing."""
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return column.cast(ARROW_TYPES[self.dtype]).dictionary_encode()

    def hash_values(self, values: pa.Array) -> np.ndarray:
        return hash_dictionary(values)

    def num_missing(self, values: pa.Array) -> int:
        """Nulls, and values that are stored as the missing value."""
        place = pc.index(values.dictionary, MISSING[self.dtype]).as_py()
        return int(values.null_count) + int(pc.sum(pc.equal(values.indices, place)).as_py() or 0)

    def counted_values(self, values: pa.Array) -> pa.Array:
        return compact_dictionary(values).dictionary_decode().fill_null(MISSING[self.dtype])

    def record_values(self, values: pa.Array, lookup: Lookup) -> np.ndarray:
        return lookup(self.name, values)

    def golden_values(self, values: pa.Array) -> pa.Array:
        return values.fill_null(MISSING[self.dtype])

    @property
    def record_column(self) -> RecordColumn:
        return RecordColumn("int64", vocabulary=self.name)

    def ranker_input(self, settings: RankerSettings, moments: Moments) -> RowInput:
        del settings, moments
        return RowInput.single(self.name)

    @property
    def raw_input(self) -> RawInput:
        return RawInput(self.dtype, side=SIDES[self.source])

    def graph_column(self, raw: tf.Tensor, lookup: GraphLookup) -> tf.Tensor:
        return lookup(self.name, raw)

    def raw_values_of_rows(self, vocabulary: Callable[[str], Vocabulary]) -> pa.Array:
        return values_of_rows(vocabulary(self.name))
