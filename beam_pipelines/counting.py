"""Counts of distinct values without an element per row: counted per batch, merged per hash bucket."""

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfrs_pretrain.hashing import hash_ids

BUCKETS = 16


class CountValues(beam.PTransform):
    """``(name, Arrow array without nulls)`` -> ``(name, table of value and count)``, one element per name.

    Values of one name are spread over hash buckets, so that merging a large space is shared by the workers; the last
    step gathers one row per distinct value.
    """

    def expand(
        self, columns: beam.PCollection[tuple[str, pa.Array]]
    ) -> beam.PCollection[tuple[str, pa.Table]]:
        return (
            columns
            | "CountBatch" >> beam.FlatMapTuple(_count).with_output_types(tuple[tuple[str, int], pa.Table])
            | "GroupBuckets" >> beam.GroupByKey()
            | "MergeBucket" >> beam.MapTuple(_merge_bucket).with_output_types(tuple[str, pa.Table])
            | "GroupNames" >> beam.GroupByKey()
            | "Gather" >> beam.MapTuple(_gather).with_output_types(tuple[str, pa.Table])
        )


def _count(name: str, column: pa.Array) -> Iterator[tuple[tuple[str, int], pa.Table]]:
    counted = pc.value_counts(column)
    table = pa.table({"value": counted.field("values"), "count": counted.field("counts")})
    buckets = hash_ids(table["value"].combine_chunks()) % np.uint64(BUCKETS)
    for bucket in np.unique(buckets):
        yield (name, int(bucket)), table.filter(pa.array(buckets == bucket))


def _merge_bucket(key: tuple[str, int], tables: Iterable[pa.Table]) -> tuple[str, pa.Table]:
    merged = pa.concat_tables(tables).group_by("value").aggregate([("count", "sum")])
    return key[0], merged.rename_columns({"value": "value", "count_sum": "count"})


def _gather(name: str, tables: Iterable[pa.Table]) -> tuple[str, pa.Table]:
    return name, pa.concat_tables(tables).sort_by("value").combine_chunks()
