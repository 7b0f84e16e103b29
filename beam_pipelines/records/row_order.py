"""A total order of rows that depends on their values only: by hash, then by the other columns."""

from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HASH = "@hash"


def sort_rows(table: pa.Table) -> pa.Table:
    """Sorts rows by @hash; rows of equal hash by their other columns, in the table's column order."""
    # Arrow cannot sort lists. Rows that differ only in a list have different hashes.
    others = [field.name for field in table.schema if field.name != HASH and not pa.types.is_list(field.type)]
    return table.take(pc.sort_indices(table, [(name, "ascending") for name in [HASH, *others]])).combine_chunks()


class SmallestHashes(beam.CombineFn):
    """Combines batches into one table: the ``limit`` rows of smallest @hash, or None if there are no rows.

    Ties are broken by the other columns, so the result does not depend on the batches.
    """

    def __init__(self, limit: int):
        self._limit = limit

    def create_accumulator(self) -> pa.Table | None:
        return None

    def add_input(self, accumulator: pa.Table | None, batch: pa.RecordBatch) -> pa.Table | None:
        return self._smallest([accumulator, decode_dictionaries(pa.Table.from_batches([self._candidates(batch)]))])

    def merge_accumulators(self, accumulators: Iterable[pa.Table | None]) -> pa.Table | None:
        return self._smallest(list(accumulators))

    def extract_output(self, accumulator: pa.Table | None) -> pa.Table | None:
        return accumulator

    def _candidates(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Selects the rows that may be among the smallest; much cheaper than sorting the whole batch."""
        hashes = batch[HASH].to_numpy()
        if len(hashes) <= self._limit:
            return batch
        return batch.filter(pa.array(hashes <= np.partition(hashes, self._limit - 1)[self._limit - 1]))

    def _smallest(self, tables: list[pa.Table | None]) -> pa.Table | None:
        filled = [table for table in tables if table is not None]
        return sort_rows(pa.concat_tables(filled)).slice(0, self._limit).combine_chunks() if filled else None


def decode_dictionaries(table: pa.Table) -> pa.Table:
    """Converts dictionary columns to plain ones, which sort by value."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(field.type.value_type))
    return table
