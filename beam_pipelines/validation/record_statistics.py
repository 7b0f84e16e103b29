"""Statistics of a split's records. They are exact and additive, so they do not depend on the order of the records."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np

from beam_pipelines.records.example_parser import Column
from beam_pipelines.transforms.candidate_counts import SparseCounts, add_counts
from beam_pipelines.transforms.moments import ExactMoments, sums_by_exponent

EMPTY_COUNTS: SparseCounts = (np.empty(0, np.int64), np.empty(0, np.int64))


@dataclasses.dataclass(frozen=True)
class VocabularyRows:
    """The valid rows of a vocabulary, for a column that contains such rows.

    Attributes:
      oov: number of rows, from 0, that are shared by ids outside the vocabulary.
      size: total number of rows; rows from here on are invalid.
      exact: count each row; otherwise count by popularity band (powers of two), for large vocabularies.
    """

    oov: int
    size: int
    exact: bool

    def bins(self, rows: np.ndarray) -> np.ndarray:
        """Returns int64 [n] histogram bins of int64 [n] rows of known ids."""
        return rows if self.exact else np.log2(rows - self.oov + 1).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class ColumnStatistics:
    """Statistics of one column of a split.

    Attributes:
      dtypes: number of records by dtype of the column.
      not_single: number of records that do not have exactly one value.
      values: number of values.
      missing: number of float values that are NaN or infinite.
      oov: number of values that are rows of ids outside the vocabulary.
      unknown: number of values that are not rows of the vocabulary.
      moments: exact sums over finite float values, as ``sums_by_exponent``.
      histogram: counts by bin: of finite floats rounded to bfloat16; of rows of known ids by ``VocabularyRows.bins``.
    """

    dtypes: Counter[str] = dataclasses.field(default_factory=Counter)
    not_single: int = 0
    values: int = 0
    missing: int = 0
    oov: int = 0
    unknown: int = 0
    moments: np.ndarray | None = None
    histogram: SparseCounts = EMPTY_COUNTS

    def __add__(self, other: "ColumnStatistics") -> "ColumnStatistics":
        moments = [part.moments for part in (self, other) if part.moments is not None]
        return ColumnStatistics(
            self.dtypes + other.dtypes, self.not_single + other.not_single, self.values + other.values,
            self.missing + other.missing, self.oov + other.oov, self.unknown + other.unknown,
            np.sum(moments, axis=0) if moments else None, add_counts([self.histogram, other.histogram]))

    @classmethod
    def from_column(cls, column: Column, rows: VocabularyRows | None) -> "ColumnStatistics":
        """Measures a part of a column; ``rows`` if it contains rows of a vocabulary."""
        common = cls(Counter({column.dtype: len(column.records)}), int((column.lengths != 1).sum()),
                     int(column.lengths.sum()))
        if column.dtype == "float32":
            finite = column.values[np.isfinite(column.values)]
            return dataclasses.replace(common, missing=len(column.values) - len(finite),
                                       moments=sums_by_exponent(finite), histogram=count_bins(bfloat16_bins(finite)))
        if column.dtype == "int64" and rows:
            known = column.values[(column.values >= rows.oov) & (column.values < rows.size)]
            oov = int(((column.values >= 0) & (column.values < rows.oov)).sum())
            return dataclasses.replace(common, oov=oov, unknown=len(column.values) - len(known) - oov,
                                       histogram=count_bins(rows.bins(known)))
        return common

    def with_shape_of(self, blocks: Column) -> "ColumnStatistics":
        """Replaces dtypes and numbers of values with those of the byte strings that contained the values."""
        return dataclasses.replace(self, dtypes=Counter({blocks.dtype: len(blocks.records)}),
                                   not_single=int((blocks.lengths != 1).sum()))

    def to_json(self) -> dict[str, Any]:
        """Converts to JSON types; moments become mean and standard deviation (1 if constant) of the finite floats."""
        content = vars(self) | {"dtypes": dict(self.dtypes), "histogram": [part.tolist() for part in self.histogram]}
        moments = content.pop("moments")
        return content | (ExactMoments().extract_output(moments) if moments is not None else {})


@dataclasses.dataclass(frozen=True)
class SplitStatistics:
    """Statistics of the records of a split.

    Attributes:
      records: number of records in the files.
      examples: number of impressions or pairs.
      malformed: number of records that are not a tf.Example.
      damaged: file -> error message.
      columns: column name -> statistics.
    """

    records: int = 0
    examples: int = 0
    malformed: int = 0
    damaged: dict[str, str] = dataclasses.field(default_factory=dict)
    columns: dict[str, ColumnStatistics] = dataclasses.field(default_factory=dict)

    def __add__(self, other: "SplitStatistics") -> "SplitStatistics":
        columns = dict(self.columns)
        for name, column in other.columns.items():
            columns[name] = columns[name] + column if name in columns else column
        return SplitStatistics(self.records + other.records, self.examples + other.examples,
                               self.malformed + other.malformed, self.damaged | other.damaged, columns)

    def to_json(self) -> dict[str, Any]:
        """Converts to JSON types."""
        columns = {name: column.to_json() for name, column in sorted(self.columns.items())}
        return vars(self) | {"columns": columns}


class SumStatistics(beam.CombineFn):
    """Adds up ``SplitStatistics`` and converts the sum to JSON types."""

    def create_accumulator(self) -> SplitStatistics:
        return SplitStatistics()

    def add_input(self, accumulator: SplitStatistics, element: SplitStatistics) -> SplitStatistics:
        return accumulator + element

    def merge_accumulators(self, accumulators: Iterable[SplitStatistics]) -> SplitStatistics:
        return sum(accumulators, SplitStatistics())

    def extract_output(self, accumulator: SplitStatistics) -> dict[str, Any]:
        return accumulator.to_json()


def bfloat16_bins(values: np.ndarray) -> np.ndarray:
    """Returns int64 [n] bins, in the order of float32 [n] values, truncated to bfloat16 (a relative step of 1/128)."""
    bits = (values + np.float32(0)).astype(np.float32).view(np.uint32) >> np.uint32(16)
    return np.where(bits & 0x8000, 0xFFFF - bits, bits + 0x8000).astype(np.int64)


def count_bins(bins: np.ndarray) -> SparseCounts:
    """Returns the distinct bins of int [n], ascending, and the count of each."""
    distinct, counts = np.unique(bins.astype(np.int64), return_counts=True)
    return distinct, counts.astype(np.int64)
