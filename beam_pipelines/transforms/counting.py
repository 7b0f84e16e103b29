"""Counts distinct values without an element per row: per batch, per bundle if they repeat, then per hash bucket."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipelines.records.partitions import partition
from tfrs_pretrain.hashing import hash_ids

MAX_PENDING_COUNTS = 1 << 20  # counts of one name that a worker accumulates before it emits them


class CountValues(beam.PTransform):
    """Converts ``(name, Arrow array without nulls)`` to ``(name, table of value and count)``, one element per bucket.

    The values of a name are partitioned by hash, so that no element contains a whole id space; a bucket without values
    has no element, except the first bucket of a name. Elements must be in the global window.

    Args:
      buckets: number of hash buckets.
    """

    def __init__(self, buckets: int):
        super().__init__()
        self._buckets = buckets

    def expand(
        self, name_to_column: beam.PCollection[tuple[str, pa.Array]]
    ) -> beam.PCollection[tuple[str, pa.Table]]:
        return (
            name_to_column
            | "CountBundle" >> beam.ParDo(_CountBundle(self._buckets)).with_output_types(
                tuple[tuple[str, int], pa.Table])
            | "GroupByBucket" >> beam.GroupByKey()
            | "MergeBucket" >> beam.MapTuple(_merge_bucket).with_output_types(tuple[str, pa.Table])
        )


class _CountBundle(beam.DoFn):
    def __init__(self, buckets: int):
        self._buckets = buckets

    def start_bundle(self) -> None:
        self._pending: dict[str, list[pa.Table]] = defaultdict(list)
        self._distinct: set[str] = set()  # names whose values hardly repeat within a bundle

    def process(self, element: tuple[str, pa.Array]) -> Iterator[tuple[tuple[str, int], pa.Table]]:
        name, column = element
        counts = pc.value_counts(column)
        tables = self._pending[name]
        tables.append(pa.table({"value": counts.field("values"), "count": counts.field("counts")}))
        if sum(table.num_rows for table in tables) > MAX_PENDING_COUNTS:
            yield from self._flush(name, self._pending.pop(name))

    def finish_bundle(self) -> Iterator[Any]:
        window = GlobalWindow()
        for name, tables in self._pending.items():
            for element in self._flush(name, tables):
                yield WindowedValue(element, window.max_timestamp(), (window,))

    def _flush(self, name: str, tables: list[pa.Table]) -> Iterator[tuple[tuple[str, int], pa.Table]]:
        """Yields the counts by bucket; they are merged first unless this has not halved those of the name before."""
        counts = pa.concat_tables(tables)
        if name not in self._distinct:
            merged = _merge([counts])
            if 2 * merged.num_rows > counts.num_rows:
                self._distinct.add(name)
            counts = merged
        yield from _split_by_bucket(name, counts.combine_chunks(), self._buckets)


def _split_by_bucket(name: str, counts: pa.Table, number: int) -> Iterator[tuple[tuple[str, int], pa.Table]]:
    buckets = hash_ids(counts["value"].combine_chunks()) % np.uint64(number)
    # A name without any value, such as a feature of lists that are all empty, is counted too.
    if not len(buckets):
        yield (name, 0), counts
    for batch in counts.to_batches():
        for bucket, part in partition(batch, buckets):
            yield (name, bucket), pa.Table.from_batches([part])


def _merge(tables: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).group_by("value").aggregate([("count", "sum")]).rename_columns(["value", "count"])


def _merge_bucket(key: tuple[str, int], tables: Iterable[pa.Table]) -> tuple[str, pa.Table]:
    return key[0], _merge(tables)
