"""Numeric features: one number per impression, normalized by its mean and standard deviation in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tfrs_pretrain.features.base import Feature, GraphLookup, Lookup, Moments, RankerSettings
from tfrs_pretrain.features.ranker_input import NumericStatistics
from tfrs_pretrain.features.raw_input import SIDES, RawInput
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.features.values import nulls_to_nan
from tfrs_pretrain.hashing import hash_ids

if TYPE_CHECKING:
    import tensorflow as tf


class NumericFeature(Feature):
    """A number. A missing one, NaN or infinite, takes the training mean."""

    has_moments: ClassVar[bool] = True

    kind: Literal["numeric"] = Field(description="what the values are: a number")
    dtype: Literal["float32"] = Field(description="type of a raw value")
    log1p: bool = Field(False, description="the model takes sign(x) log(1 + |x|), for counts and other long tails; "
                                           "records and requests have x")

    def clean(self, column: pa.Array) -> pa.Array:
        """float32, null where missing or not finite."""
        # float64 beyond the range of float32 becomes infinite, hence missing.
        values = column.cast(pa.float32(), safe=False)
        return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float32()))

    def hash_values(self, values: pa.Array) -> np.ndarray:
        return hash_ids(nulls_to_nan(values).view(np.int32))

    def moment_values(self, values: pa.Array) -> np.ndarray:
        numbers = nulls_to_nan(values)
        return np.copysign(np.log1p(np.abs(numbers)), numbers) if self.log1p else numbers

    def record_values(self, values: pa.Array, lookup: Lookup) -> np.ndarray:
        del lookup
        return nulls_to_nan(values)

    def golden_values(self, values: pa.Array) -> pa.Array:
        return values.fill_null(float("nan"))

    @property
    def record_column(self) -> RecordColumn:
        return RecordColumn("float32")

    def ranker_input(self, settings: RankerSettings, moments: Moments) -> NumericStatistics:
        del settings
        return NumericStatistics(**moments[self.name], log1p=self.log1p)

    @property
    def raw_input(self) -> RawInput:
        return RawInput("float32", side=SIDES[self.source])

    def graph_column(self, raw: tf.Tensor, lookup: GraphLookup) -> tf.Tensor:
        """NaN, the missing value, replaces infinity, as in records."""
        import tensorflow as tf  # noqa: PLC0415

        del lookup
        return tf.where(tf.math.is_finite(raw), raw, tf.constant(float("nan")))
