"""What validation needs to know of the records of a split: additive, exact, the same in any order."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np

from beam_pipelines.records.example_parser import Column
from beam_pipelines.transforms.candidate_counts import SparseCounts, add_counts
from beam_pipelines.transforms.moments import ExactMoments, sums_by_exponent

NOTHING: SparseCounts = (np.empty(0, np.int64), np.empty(0, np.int64))


@dataclasses.dataclass(frozen=True)
class VocabularyRows:
    """How to judge a column of vocabulary rows.

    Attributes:
      oov: rows below are shared by ids outside the vocabulary.
      size: rows from here on do not exist.
      exact: count rows one by one, or else by band of popularity (powers of two), as in a large vocabulary.
    """

    oov: int
    size: int
    exact: bool

    def bins(self, rows: np.ndarray) -> np.ndarray:
        """int64 bins of rows of known ids."""
        return rows if self.exact else np.log2(rows - self.oov + 1).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class ColumnStatistics:
    """One column of a split.

    Attributes:
      kinds: records by kind of their list.
      lists: records that do not hold exactly one value.
      values: values.
      missing: float values that are NaN or infinite.
      oov: rows shared by ids outside the vocabulary.
      outside: rows that the vocabulary does not have.
      moments: exact sums over finite float values, as ``sums_by_exponent``.
      histogram: counts by bin: of finite floats rounded to bfloat16, in order; of rows of known ids by
        ``VocabularyRows.bins``.
    """

    kinds: Counter[str] = dataclasses.field(default_factory=Counter)
    lists: int = 0
    values: int = 0
    missing: int = 0
    oov: int = 0
    outside: int = 0
    moments: np.ndarray | None = None
    histogram: SparseCounts = NOTHING

    def __add__(self, other: "ColumnStatistics") -> "ColumnStatistics":
        moments = [part.moments for part in (self, other) if part.moments is not None]
        return ColumnStatistics(
            self.kinds + other.kinds, self.lists + other.lists, self.values + other.values,
            self.missing + other.missing, self.oov + other.oov, self.outside + other.outside,
            np.sum(moments, axis=0) if moments else None, add_counts([self.histogram, other.histogram]))

    @classmethod
    def of(cls, column: Column, rows: VocabularyRows | None) -> "ColumnStatistics":
        """Of one part of a column; ``rows`` where it holds rows of a vocabulary."""
        common = cls(Counter({column.kind: len(column.records)}), int((column.lengths != 1).sum()),
                     int(column.lengths.sum()))
        if column.kind == "float32":
            finite = column.values[np.isfinite(column.values)]
            return dataclasses.replace(common, missing=len(column.values) - len(finite),
                                       moments=sums_by_exponent(finite), histogram=count_bins(bfloat16_bins(finite)))
        if column.kind == "int64" and rows:
            known = column.values[(column.values >= rows.oov) & (column.values < rows.size)]
            oov = int(((column.values >= 0) & (column.values < rows.oov)).sum())
            return dataclasses.replace(common, oov=oov, outside=len(column.values) - len(known) - oov,
                                       histogram=count_bins(rows.bins(known)))
        return common

    def of_blocks(self, blocks: Column) -> "ColumnStatistics":
        """The same values, with kinds and lists of the byte strings that they were packed in."""
        return dataclasses.replace(self, kinds=Counter({blocks.kind: len(blocks.records)}),
                                   lists=int((blocks.lengths != 1).sum()))

    def plain(self) -> dict[str, Any]:
        """JSON types; mean and standard deviation (1 where constant) of the finite floats."""
        content = vars(self) | {"kinds": dict(self.kinds), "histogram": [part.tolist() for part in self.histogram]}
        moments = content.pop("moments")
        return content | (ExactMoments().extract_output(moments) if moments is not None else {})


@dataclasses.dataclass(frozen=True)
class SplitStatistics:
    """The records of a split.

    Attributes:
      records: in the files.
      examples: impressions or pairs.
      malformed: records that are no tf.Example.
      damaged: file -> what is wrong with it.
      columns: by name.
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
        return SplitStatistics(self.records + other.records, self.examples + other.examples, self.malformed +
                               other.malformed, self.damaged | other.damaged, columns)

    def plain(self) -> dict[str, Any]:
        """JSON types."""
        columns = {name: column.plain() for name, column in sorted(self.columns.items())}
        return vars(self) | {"columns": columns}


class SumStatistics(beam.CombineFn):
    """Adds statistics of the same split up."""

    def create_accumulator(self) -> SplitStatistics:
        return SplitStatistics()

    def add_input(self, accumulator: SplitStatistics, element: SplitStatistics) -> SplitStatistics:
        return accumulator + element

    def merge_accumulators(self, accumulators: Iterable[SplitStatistics]) -> SplitStatistics:
        return sum(accumulators, SplitStatistics())

    def extract_output(self, accumulator: SplitStatistics) -> dict[str, Any]:
        return accumulator.plain()


def bfloat16_bins(values: np.ndarray) -> np.ndarray:
    """int64 [n]: float32 values cut to bfloat16 (a relative step of 1/128), numbered in their order."""
    bits = (values + np.float32(0)).astype(np.float32).view(np.uint32) >> np.uint32(16)
    return np.where(bits & 0x8000, 0xFFFF - bits, bits + 0x8000).astype(np.int64)


def count_bins(bins: np.ndarray) -> SparseCounts:
    """Distinct bins and how often each occurs."""
    distinct, counts = np.unique(bins.astype(np.int64), return_counts=True)
    return distinct, counts.astype(np.int64)
