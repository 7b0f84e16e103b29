"""Cuts batches into pieces by a number of each row, such as its shard; the number of pieces hardly changes the cost.

One stable sort per batch replaces one filter per piece. With many parts, the rows of several batches of a bundle are
gathered first, because a piece costs a fixed time and about two kilobytes, however few rows it has.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from tfrs_pretrain.features.values import compact_dictionary

ROWS_PER_PIECE = 256  # expected rows of a piece for which rows are gathered
MAX_PENDING_BYTES = 1 << 27  # of gathered rows of one name, in each bundle that a worker processes

PartKey = tuple[str, int, int]  # name, part, number of parts of the name


class PartitionByHash(beam.DoFn):
    """Converts ``(name, batch)`` to ``(PartKey, piece)``: a row belongs to part ``hash % number of parts``.

    Args:
      hash_rows: batch [n] -> uint64 [n].
    """

    def __init__(self, hash_rows: Callable[[pa.RecordBatch], np.ndarray]):
        self._hash_rows = hash_rows

    def start_bundle(self) -> None:
        self._gathered: dict[tuple[str, int, pa.Schema], _Gathered] = collections.defaultdict(_Gathered)

    def process(self, element: tuple[str, pa.RecordBatch], num_parts: dict[str, int] | int
                ) -> Iterator[tuple[PartKey, pa.RecordBatch]]:
        """Yields the pieces of the gathered rows when they are enough.

        Args:
          element: name and batch.
          num_parts: number of parts of each name, or of all names.
        """
        name, batch = element
        number = num_parts if isinstance(num_parts, int) else num_parts[name]
        gathered = self._gathered[name, number, batch.schema]
        gathered.add(batch)
        if gathered.num_rows >= ROWS_PER_PIECE * number or gathered.num_bytes >= MAX_PENDING_BYTES:
            del self._gathered[name, number, batch.schema]
            yield from self._cut(name, number, gathered)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        window = GlobalWindow()
        for (name, number, _), gathered in self._gathered.items():
            for element in self._cut(name, number, gathered):
                yield WindowedValue(element, window.max_timestamp(), (window,))

    def _cut(self, name: str, number: int, gathered: "_Gathered") -> Iterator[tuple[PartKey, pa.RecordBatch]]:
        for batch in gathered.merged():
            for part, piece in partition(batch, self._hash_rows(batch) % np.uint64(number)):
                yield (name, part, number), piece


@dataclasses.dataclass
class _Gathered:
    """Batches of one schema."""

    batches: list[pa.RecordBatch] = dataclasses.field(default_factory=list)
    num_rows: int = 0
    num_bytes: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)
        self.num_rows += batch.num_rows
        self.num_bytes += batch.nbytes

    def merged(self) -> list[pa.RecordBatch]:
        if len(self.batches) == 1:
            return self.batches
        try:
            table = pa.Table.from_batches(self.batches).unify_dictionaries().combine_chunks()
        except pa.ArrowInvalid:  # all dictionaries together exceed the type of their indices
            return self.batches
        return list(table.to_batches())


class AssignBuckets(beam.PTransform):
    """Converts ``(name, batch)`` to ``(bucket, (name, piece))``: rows of equal hash are in one bucket.

    Args:
      hash_rows: batch [n] -> uint64 [n].
      buckets: number of buckets, the same for all names.
    """

    def __init__(self, hash_rows: Callable[[pa.RecordBatch], np.ndarray], buckets: int):
        super().__init__()
        self._hash_rows, self._buckets = hash_rows, buckets

    def expand(
        self, name_to_batch: beam.PCollection[tuple[str, pa.RecordBatch]]
    ) -> beam.PCollection[tuple[int, tuple[str, pa.RecordBatch]]]:
        return (
            name_to_batch
            | "PartitionByHash" >> beam.ParDo(PartitionByHash(self._hash_rows), self._buckets)
            | "KeyByBucket" >> beam.MapTuple(without_name).with_output_types(tuple[int, tuple[str, pa.RecordBatch]])
        )


def without_name(key: PartKey, piece: pa.RecordBatch) -> tuple[int, tuple[str, pa.RecordBatch]]:
    """Converts an output of ``PartitionByHash`` so that the pieces of all names are grouped by part."""
    return key[1], (key[0], piece)


def partition(batch: pa.RecordBatch, numbers: np.ndarray) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields each number and the rows that have it: numbers ascending, rows in the order of the batch.

    Args:
      batch: rows [n].
      numbers: integers [n].
    """
    # numpy sorts 16-bit integers several times faster.
    narrow = numbers.astype(np.uint16) if len(numbers) and numbers.min() >= 0 and numbers.max() < 2**16 else numbers
    order = np.argsort(narrow, kind="stable")
    ordered, rows = numbers[order], batch.take(pa.array(order))
    starts = [*np.flatnonzero(np.diff(ordered)) + 1]
    for start, end in zip([0, *starts], [*starts, len(ordered)], strict=True):
        if end > start:
            yield int(ordered[start]), _compact(rows.slice(start, end - start))


def _compact(piece: pa.RecordBatch) -> pa.RecordBatch:
    """Copies a slice: a pickled one contains the buffers of all rows, and the dictionary of all rows."""
    columns: Iterable[Any] = [
        compact_dictionary(column) if pa.types.is_dictionary(column.type) else column for column in piece.columns]
    return pa.concat_batches([pa.RecordBatch.from_arrays(list(columns), piece.schema.names)])
