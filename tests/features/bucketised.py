"""A feature kind that no other file knows: a number as one of the buckets between declared boundaries."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tfrs_pretrain.features.base import Feature, VocabularyRules
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.features.raw_input import SIDES, RawInput
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.features.values import nulls_to_nan
from tfrs_pretrain.hashing import hash_ids

NO_BUCKET = -1  # of a missing number


class BucketisedFeature(Feature):
    """Bucket n has the numbers from boundary n - 1 up to, but without, boundary n."""

    kind: Literal["bucketised"] = Field(description="what the values are: numbers, each with the row of its bucket")
    dtype: Literal["float32"] = Field("float32", description="type of a raw value")
    boundaries: tuple[float, ...] = Field(min_length=1, description="ascending limits of the buckets")

    @property
    def vocabulary(self) -> VocabularyRules:
        return VocabularyRules("int64", oov_rows=1, min_count=1)

    def clean(self, column: pa.Array) -> pa.Array:
        values = column.cast(pa.float32(), safe=False)
        return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float32()))

    def hash_values(self, values: pa.Array) -> np.ndarray:
        return hash_ids(nulls_to_nan(values).view(np.int32))

    def counted_values(self, values: pa.Array) -> pa.Array:
        numbers = nulls_to_nan(values)
        buckets = np.searchsorted(np.array(self.boundaries, np.float32), numbers, side="right")
        return pa.array(np.where(np.isnan(numbers), NO_BUCKET, buckets))

    def record_values(self, values: pa.Array, lookup) -> np.ndarray:
        return lookup(self.name, self.counted_values(values))

    def golden_values(self, values: pa.Array) -> pa.Array:
        return values.fill_null(float("nan"))

    @property
    def record_column(self) -> RecordColumn:
        return RecordColumn("int64", vocabulary=self.name)

    def ranker_input(self, settings, moments) -> RowInput:
        return RowInput.single(self.name)

    @property
    def raw_input(self) -> RawInput:
        return RawInput("float32", side=SIDES[self.source])

    def graph_column(self, raw, lookup):
        import tensorflow as tf

        buckets = tf.searchsorted(tf.constant(self.boundaries, tf.float32), raw, side="right", out_type=tf.int64)
        return lookup(self.name, tf.where(tf.math.is_finite(raw), buckets, tf.constant(NO_BUCKET, tf.int64)))

    def raw_values_of_rows(self, vocabulary) -> pa.Array:
        lowest, *others = np.float32(self.boundaries)
        numbers = pa.array([None, np.nextafter(lowest, -np.inf), lowest, *others], pa.float32())
        known = vocabulary(self.name)
        raw = np.full(known.num_rows, np.nan, np.float32)
        raw[known.lookup(self.counted_values(numbers))] = nulls_to_nan(numbers)
        return pa.array(raw)
