"""Multi-valued features: a list of values per impression, whose rows are averaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tfrs_pretrain.features.base import Feature, GraphLookup, Lookup, Moments, RankerSettings, VocabularyRules
from tfrs_pretrain.features.graph_lists import rows_of_lists
from tfrs_pretrain.features.lists import hash_lists, list_column, replace_list_values
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.features.raw_input import SIDES, RawInput
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.features.row_values import values_of_rows
from tfrs_pretrain.features.stored_types import StoredType, is_text, list_type

if TYPE_CHECKING:
    import tensorflow as tf

    from tfrs_pretrain.vocabulary import Vocabulary


class MultiValuedFeature(Feature):
    """None, one or several values. A missing value in a list is no value at all."""

    kind: Literal["multi_valued"] = Field(
        description="what the values are: lists of values, each with a row of its own")
    dtype: Literal["int64", "string"] = Field(description="type of a raw value")
    max_values: int = Field(ge=1, description="maximum number of values retained of an impression, the first ones")
    separator: str | None = Field(None, min_length=1, description="splits a text into values (null: the column has "
                                                                  "lists, or JSON arrays in text formats)")
    min_count: int = Field(1, ge=1, description="occurrences in training impressions that admit a value")
    oov_rows: int = Field(1, ge=1, description="rows shared, by hash, by values outside the vocabulary")

    @property
    def value_type(self) -> str:
        return f"{self.dtype}[{self.separator or ''}]"

    @property
    def stored_type(self) -> StoredType:
        if self.separator:
            return StoredType(f"string of values separated by {self.separator!r}", is_text)
        return list_type(self.dtype)

    @property
    def vocabulary(self) -> VocabularyRules:
        return VocabularyRules(self.dtype, self.oov_rows, self.min_count)

    def clean(self, column: pa.Array) -> pa.Array:
        """Lists of values that are not missing; null is an empty list."""
        return list_column(column, self.dtype, self.max_values)

    def hash_values(self, values: pa.Array) -> np.ndarray:
        return hash_lists(values)

    def num_missing(self, values: pa.Array) -> int:
        """Lists without a value."""
        return int(pc.sum(pc.equal(pc.list_value_length(values), 0)).as_py() or 0)

    def counted_values(self, values: pa.Array) -> pa.Array:
        return values.flatten()

    def record_values(self, values: pa.Array, lookup: Lookup) -> pa.Array:
        return replace_list_values(values, lookup(self.name, values.flatten()))

    def golden_values(self, values: pa.Array) -> pa.Array:
        return values

    @property
    def record_column(self) -> RecordColumn:
        return RecordColumn("int64", self.max_values, self.name)

    def ranker_input(self, settings: RankerSettings, moments: Moments) -> RowInput:
        del settings, moments
        return RowInput(self.name, self.name, self.name, self.name, self.max_values, "mean")

    @property
    def raw_input(self) -> RawInput:
        return RawInput(self.dtype, self.max_values, SIDES[self.source])

    def graph_column(self, raw: tf.Tensor, lookup: GraphLookup) -> tf.Tensor:
        return rows_of_lists(raw, self.max_values, lambda values: lookup(self.name, values))

    def raw_values_of_rows(self, vocabulary: Callable[[str], Vocabulary]) -> pa.Array:
        return values_of_rows(vocabulary(self.name))
