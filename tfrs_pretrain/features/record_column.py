"""A column of the impression records: its type in Arrow, in tf.Example and in a batch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tfrs_pretrain.columns import PADDING
from tfrs_pretrain.value_types import ARROW_TYPES

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class RecordColumn:
    """One value per impression, or a list of int64 rows.

    Attributes:
      dtype: "int64", "float32" or "string".
      length: maximum length of a list; None: one value.
      vocabulary: name of the vocabulary whose rows the column contains; None: it contains no rows.
    """

    dtype: str
    length: int | None = None
    vocabulary: str | None = None

    @property
    def is_category(self) -> bool:
        """Whether each impression has exactly one row of a vocabulary."""
        return self.vocabulary is not None and self.length is None

    @property
    def arrow_type(self) -> pa.DataType:
        """Type that the record encoder expects."""
        return pa.list_(ARROW_TYPES[self.dtype]) if self.length else ARROW_TYPES[self.dtype]

    def parsing_spec(self) -> tf.io.FixedLenFeature | tf.io.RaggedFeature:
        """Specification for ``tf.io.parse_example``."""
        import tensorflow as tf  # noqa: PLC0415

        dtype = tf.as_dtype(self.dtype)
        return tf.io.RaggedFeature(dtype) if self.length else tf.io.FixedLenFeature([], dtype)

    def dense_tensor(self, parsed: Any) -> tf.Tensor:
        """The parsed column as a batch has it: [batch], or [batch, length] padded at the end."""
        return parsed.to_tensor(PADDING, shape=[None, self.length]) if self.length else parsed

    def dense_array(self, values: pa.Array | np.ndarray) -> np.ndarray:
        """The numpy equivalent of ``dense_tensor`` for values [n] or a list array [n]."""
        if not self.length:
            return np.asarray(values).astype(self.dtype)
        padded = np.full((len(values), self.length), PADDING, self.dtype)
        for row, rows in enumerate(pa.array(values).to_pylist()):
            padded[row, :len(rows)] = rows
        return padded
