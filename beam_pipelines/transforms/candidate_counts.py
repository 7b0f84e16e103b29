"""Exact counts of candidate rows, the basis of sampling probabilities."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import apache_beam as beam
import numpy as np

SparseCounts = tuple[np.ndarray, np.ndarray]  # int64 [n] distinct rows ascending, int64 [n] their counts

MIN_PENDING = 1 << 20  # counts that are collected before they are added up


@dataclasses.dataclass
class PartialCounts:
    """Counts of batches; those added up so far come first.

    They are added up when the new ones are as many, so that the cost of a batch does not grow with the number of
    distinct rows.
    """

    parts: list[SparseCounts] = dataclasses.field(default_factory=list)

    def add(self, part: SparseCounts) -> PartialCounts:
        self.parts.append(part)
        first, *pending = (len(rows) for rows, _ in self.parts)
        if sum(pending) > max(first, MIN_PENDING):
            self.parts = [add_counts(self.parts)]
        return self

    def total(self) -> SparseCounts:
        return add_counts([(np.empty(0, np.int64), np.empty(0, np.int64)), *self.parts])


class CountCandidates(beam.CombineFn):
    """Combines int arrays of rows into ``SparseCounts``."""

    def create_accumulator(self) -> PartialCounts:
        return PartialCounts()

    def add_input(self, accumulator: PartialCounts, rows: np.ndarray) -> PartialCounts:
        distinct, counts = np.unique(rows.astype(np.int64), return_counts=True)
        return accumulator.add((distinct, counts))

    def merge_accumulators(self, accumulators: Iterable[PartialCounts]) -> PartialCounts:
        merged = PartialCounts()
        for accumulator in accumulators:
            merged.add(accumulator.total())
        return merged

    def compact(self, accumulator: PartialCounts) -> PartialCounts:
        return PartialCounts([accumulator.total()])

    def extract_output(self, accumulator: PartialCounts) -> SparseCounts:
        return accumulator.total()


def add_counts(parts: list[SparseCounts]) -> SparseCounts:
    """Adds up the counts of equal rows."""
    rows, counts = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.append(True, np.diff(ordered) != 0)[:len(ordered)])
    totals = np.add.reduceat(counts[order], starts) if len(starts) else np.empty(0, np.int64)
    return ordered[starts], totals
