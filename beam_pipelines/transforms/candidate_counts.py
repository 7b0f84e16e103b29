"""Exact counts of candidate rows, the basis of sampling probabilities."""

from collections.abc import Iterable

import apache_beam as beam
import numpy as np

SparseCounts = tuple[np.ndarray, np.ndarray]  # int64 [n] distinct rows ascending, int64 [n] their counts


class CountCandidates(beam.CombineFn):
    """Combines int arrays of rows into ``SparseCounts``."""

    def create_accumulator(self) -> SparseCounts:
        return np.empty(0, np.int64), np.empty(0, np.int64)

    def add_input(self, accumulator: SparseCounts, rows: np.ndarray) -> SparseCounts:
        distinct, counts = np.unique(rows.astype(np.int64), return_counts=True)
        return add_counts([accumulator, (distinct, counts)])

    def merge_accumulators(self, accumulators: Iterable[SparseCounts]) -> SparseCounts:
        return add_counts([self.create_accumulator(), *accumulators])

    def extract_output(self, accumulator: SparseCounts) -> SparseCounts:
        return accumulator


def add_counts(parts: list[SparseCounts]) -> SparseCounts:
    """Adds up the counts of equal rows."""
    rows, place = np.unique(np.concatenate([rows for rows, _ in parts]), return_inverse=True)
    totals = np.zeros(len(rows), np.int64)
    np.add.at(totals, place, np.concatenate([counts for _, counts in parts]))
    return rows, totals
