"""The interface of a feature kind.

``FeatureKind`` is what a model input does from the records on: in records, in the ranker and in the served model. The
two ids and the history implement it too. ``Feature`` adds what the Beam jobs do with a declared feature, whose values
come from a column of a table.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import pyarrow as pa
from pydantic import Field

from tfrs_pretrain.features.ranker_input import NumericStatistics, RowInput
from tfrs_pretrain.features.raw_input import RawInput
from tfrs_pretrain.features.record_column import RecordColumn
from tfrs_pretrain.features.stored_types import STORED_TYPES, StoredType
from tfrs_pretrain.lifecycle_rules import LifecycleRules
from tfrs_pretrain.names import FeatureName
from tfrs_pretrain.strict_model import StrictModel

if TYPE_CHECKING:
    import tensorflow as tf

    from tfrs_pretrain.vocabulary import Vocabulary

Lookup = Callable[[str, pa.Array], np.ndarray]
"""(vocabulary, plain or dictionary-encoded raw values [n], null where missing) -> integer rows [n]."""
GraphLookup = Callable[[str, Any], Any]
"""The same in a TensorFlow graph: (vocabulary, raw values [n]) -> int64 rows [n]."""
Moments = Mapping[str, Mapping[str, float]]
"""Feature -> ``{"mean": m, "std": s}`` over the training impressions."""


class RankerSettings(Protocol):
    """The settings of the ranking model that decide how a kind becomes an input."""

    @property
    def history(self) -> str:
        """Pooling of the history: "none", "mean" or "attention"."""
        ...


@dataclasses.dataclass(frozen=True)
class VocabularyRules:
    """How a vocabulary is built.

    Attributes:
      dtype: "int64" or "string".
      oov_rows: rows that values outside the vocabulary share by hash.
      min_count: occurrences that admit a value.
      max_size: maximum number of admitted values; None: no limit.
      lifecycle: which ids leave when a later window extends the vocabulary; None: every id stays.
    """

    dtype: str
    oov_rows: int
    min_count: int
    max_size: int | None = None
    lifecycle: LifecycleRules | None = None


class FeatureKind(abc.ABC):
    """An input of the ranking model.

    Attributes:
      name: name of its column in records and batches.
      privileged: known in the log but not when serving; only a teacher may read it.
    """

    name: str
    privileged: bool

    @property
    def raw_name(self) -> str:
        """Name of its input in the served model."""
        return self.name

    @property
    @abc.abstractmethod
    def record_column(self) -> RecordColumn:
        """Its column in records."""

    @abc.abstractmethod
    def ranker_input(self, settings: RankerSettings, moments: Moments) -> RowInput | NumericStatistics | None:
        """Its input to the ranking network; None: the ranker does not read it."""

    @property
    @abc.abstractmethod
    def raw_input(self) -> RawInput:
        """Its input in the served model."""

    @abc.abstractmethod
    def graph_column(self, raw: tf.Tensor, lookup: GraphLookup) -> tf.Tensor:
        """Raw values of the served model as a batch has them: [batch], or [batch, at most length] with padding."""

    @abc.abstractmethod
    def batch_column(self, raw: np.ndarray, lookup: Lookup) -> np.ndarray:
        """The same outside the graph: [n], or [n, length] padded at the end. Exports compare the two."""

    def raw_values_of_rows(self, vocabulary: Callable[[str], Vocabulary]) -> pa.Array | None:
        """A raw value for each row of its table, so that a record can be shown to a served model.

        Args:
          vocabulary: opens a vocabulary by name.

        Returns:
          raw values [rows]; None where batches have the raw value itself, in a column called ``raw_name``.
        """
        del vocabulary
        return None


class Feature(FeatureKind, StrictModel):
    """A declared input of the ranking model beside the two ids; ``kind`` selects the subclass.

    A kind is a pydantic model: its fields are the keys of the declaration, and a key that it lacks is refused.
    """

    has_moments: ClassVar[bool] = False
    """Whether the jobs compute mean and standard deviation of ``moment_values``."""

    name: FeatureName = Field(description="name in the TFRecords, the model and the serving signature")
    source: Literal["impressions", "items", "users"] = Field(description="table that has the column")
    column: str | None = Field(None, description="column in that table (null: the same as name)")
    kind: str = Field(description="what the values are")
    dtype: str = Field(description="type of a raw value")
    privileged: bool = Field(False, description="known in the log but not when serving: only a teacher may see it")

    @property
    def source_column(self) -> str:
        """Column of the source table."""
        return self.column or self.name

    @property
    def value_type(self) -> str:
        """Type of the raw values for ``beam_pipelines.logs.text_values.parse``, where a source stores texts."""
        return self.dtype

    @property
    def stored_type(self) -> StoredType:
        """Arrow types that its column may have in a typed source."""
        return STORED_TYPES[self.dtype]

    @property
    def vocabulary(self) -> VocabularyRules | None:
        """How its vocabulary, which has the feature's name, is built; None: it has none."""
        return None

    @abc.abstractmethod
    def clean(self, column: pa.Array) -> pa.Array:
        """Typed values of the source table as the jobs carry them: missing ones null; lists without nulls.

        Applied to its own result, it changes nothing.
        """

    @abc.abstractmethod
    def hash_values(self, values: pa.Array) -> np.ndarray:
        """uint64 [n] hashes of cleaned values; equal values have equal hashes."""

    def num_missing(self, values: pa.Array) -> int:
        """Number of cleaned values that are missing."""
        return int(values.null_count)

    def counted_values(self, values: pa.Array) -> pa.Array:
        """Values that the vocabulary counts, from cleaned values: without nulls, of the vocabulary's dtype."""
        raise NotImplementedError(f"feature kind {self.kind!r} has no vocabulary")

    def moment_values(self, values: pa.Array) -> np.ndarray:
        """float32 [n] of cleaned values, NaN where missing, as the ranker normalizes them."""
        raise NotImplementedError(f"feature kind {self.kind!r} has no moments")

    @abc.abstractmethod
    def record_values(self, values: pa.Array, lookup: Lookup) -> pa.Array | np.ndarray:
        """Cleaned values as records have them, see ``record_column``: [n], or a list array [n]."""

    @abc.abstractmethod
    def golden_values(self, values: pa.Array) -> pa.Array:
        """Cleaned values as a client sends them: missing ones as ``value_types.missing_value``, lists unpadded."""

    def batch_column(self, raw: np.ndarray, lookup: Lookup) -> np.ndarray:
        """Takes the way of the Beam jobs, so that an export is compared with them."""
        cleaned = self.clean(self.raw_input.to_arrow(raw))
        return self.record_column.dense_array(self.record_values(cleaned, lookup))
