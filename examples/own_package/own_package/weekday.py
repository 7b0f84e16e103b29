"""A feature kind of your own: the day of the week of a day number, as one of seven categories."""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tfrs_pretrain.features.base import Feature, VocabularyRules
from tfrs_pretrain.features.ranker_input import RowInput
from tfrs_pretrain.features.raw_input import SIDES, RawInput
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.hashing import hash_ids

MISSING = -1


class Weekday(Feature):
    """Days are counted from 1970-01-01, a Thursday; Monday is 0. A missing day is a category of its own."""

    kind: Literal["weekday"] = Field(description="what the values are: numbers of days")
    dtype: Literal["int64"] = Field("int64", description="type of a raw value")
    first_day: int = Field(3, ge=0, le=6, description="day of the week of day 0")

    @property
    def vocabulary(self):
        """The jobs count the categories and give each a row."""
        return VocabularyRules("int64", oov_rows=1, min_count=1)

    def clean(self, column):
        """Raw values of the table as int64, null where missing; negative days are missing."""
        days = column.cast(pa.int64())
        return pc.if_else(pc.greater_equal(days, 0), days, pa.scalar(None, pa.int64()))

    def hash_values(self, values):
        """Equal values have equal hashes."""
        return hash_ids(values.fill_null(MISSING))

    def counted_values(self, values):
        """The categories that the vocabulary counts."""
        days = values.fill_null(MISSING).to_numpy()
        return pa.array(np.where(days < 0, MISSING, (days + self.first_day) % 7))

    def record_values(self, values, lookup):
        """Rows, as TFRecords contain them."""
        return lookup(self.name, self.counted_values(values))

    def golden_values(self, values):
        """Raw values as a client of the served model sends them."""
        return values.fill_null(MISSING)

    @property
    def record_column(self):
        """The column in TFRecords."""
        return RecordColumn("int64", vocabulary=self.name)

    def ranker_input(self, settings, moments):
        """The network receives one row per impression."""
        return RowInput.single(self.name)

    @property
    def raw_input(self):
        """The input of the served model."""
        return RawInput("int64", side=SIDES[self.source])

    def graph_column(self, raw, lookup):
        """The same as ``record_values`` in the served model, by TensorFlow."""
        import tensorflow as tf  # noqa: PLC0415 - the jobs do without TensorFlow

        missing = tf.constant(MISSING, tf.int64)
        return lookup(self.name, tf.where(raw < 0, missing, (raw + self.first_day) % 7))

    def raw_values_of_rows(self, vocabulary):
        """A raw value for each row, so that an export can be compared with the ranker."""
        known, days = vocabulary(self.name), np.arange(MISSING, 7)
        raw = np.full(known.num_rows, MISSING)
        raw[known.lookup(self.counted_values(self.clean(pa.array(days))))] = days
        return pa.array(raw)
