"""A total order of rows that depends on the rows alone: by hash, then by their other columns."""

from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HASH = "@hash"


def sort_rows(rows: pa.Table) -> pa.Table:
    """Rows by hash; rows of equal hash by their other columns, in the table's column order."""
    # A list is decided by the other columns, and has no order.
    others = [field.name for field in rows.schema if field.name != HASH and not pa.types.is_list(field.type)]
    return rows.take(pc.sort_indices(rows, [(name, "ascending") for name in [HASH, *others]])).combine_chunks()


class SmallestHashes(beam.CombineFn):
    """Joined batches -> the ``limit`` rows of smallest hash, ties broken by the other columns; None without rows."""

    def __init__(self, limit: int):
        self._limit = limit

    def create_accumulator(self) -> pa.Table | None:
        return None

    def add_input(self, accumulator: pa.Table | None, batch: pa.RecordBatch) -> pa.Table:
        return self._smallest([accumulator, plain(pa.Table.from_batches([self._candidates(batch)]))])

    def merge_accumulators(self, accumulators: Iterable[pa.Table | None]) -> pa.Table | None:
        return self._smallest(list(accumulators))

    def extract_output(self, accumulator: pa.Table | None) -> pa.Table | None:
        return accumulator

    def _candidates(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Rows that may be among the smallest: finding these few is far cheaper than sorting a batch."""
        hashes = batch[HASH].to_numpy()
        if len(hashes) <= self._limit:
            return batch
        return batch.filter(pa.array(hashes <= np.partition(hashes, self._limit - 1)[self._limit - 1]))

    def _smallest(self, tables: list[pa.Table | None]) -> pa.Table | None:
        filled = [table for table in tables if table is not None]
        return sort_rows(pa.concat_tables(filled)).slice(0, self._limit).combine_chunks() if filled else None


def plain(table: pa.Table) -> pa.Table:
    """Dictionary columns as plain ones, which sort by value."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(field.type.value_type))
    return table
