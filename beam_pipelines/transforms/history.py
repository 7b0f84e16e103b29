"""Point-in-time history: the rows of the last N items that a user engaged with strictly before an impression.

Engagements of the same time as the impression are never part of it: the engagement may be the impression's own outcome.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.job import Job
from beam_pipelines.logs.keys import TIME
from beam_pipelines.transforms.vocabularies import VocabularyDoFn
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.schema import HISTORY, ITEM_ID, USER_ID
from tfrs_pretrain.value_types import ARROW_TYPES

ROW = "row"
ENGAGED, RAW = "@engaged", "@raw"  # instead of a split


class JoinHistory(beam.PTransform):
    """Adds a column ``history`` (list of int64 item rows, the latest last) to batches with user_id and @time.

    Users meet their engagements in one of ``buckets`` parts. A worker holds a part's engagements (about 100 bytes each
    while they are sorted, 12 afterwards) and takes its impressions batch by batch, however many there are of one user.

    Args:
      job: names the length of a history and the number of parts.
      engagements: cleaned engagements of all times, ``(split, batch)``.
    """

    def __init__(self, job: Job, engagements: beam.PCollection[tuple[str, pa.RecordBatch]]):
        super().__init__()
        self._job, self._engagements = job, engagements

    def expand(
        self, impressions: beam.PCollection[tuple[str, pa.RecordBatch]]
    ) -> beam.PCollection[tuple[str, pa.RecordBatch]]:
        assert self._job.schema.history is not None
        events = (
            self._engagements
            | "MapItems" >> beam.ParDo(_MapItems(self._job)).with_output_types(tuple[str, pa.RecordBatch])
        )
        return (
            (events, impressions)
            | "Both" >> beam.Flatten()
            | "AssignBuckets" >> beam.FlatMapTuple(functools.partial(_assign, buckets=self._job.buckets))
            .with_output_types(tuple[int, tuple[str, pa.RecordBatch]])
            | "GroupBuckets" >> beam.GroupByKey()
            | "LookBack" >> beam.FlatMap(_look_back, self._job.schema.history.length).with_output_types(
                tuple[str, pa.RecordBatch])
        )


class JoinRawHistory(beam.PTransform):
    """Adds to tables of a few impressions the column ``history`` as ``JoinHistory`` does, with raw ids instead of rows.

    Only the engagements of their users are gathered, in one place.
    """

    def __init__(self, job: Job, engagements: beam.PCollection[tuple[str, pa.RecordBatch]]):
        super().__init__()
        self._job, self._engagements = job, engagements

    def expand(self, tables: beam.PCollection[pa.Table]) -> beam.PCollection[pa.Table]:
        assert self._job.schema.history is not None
        events = (
            self._engagements
            | "OfTheirUsers" >> beam.FlatMap(_of_users, beam.pvalue.AsList(tables)).with_output_types(
                tuple[str, pa.RecordBatch])
            | "MapItems" >> beam.ParDo(_MapItems(self._job)).with_output_types(tuple[str, pa.RecordBatch])
        )
        return tables | "LookBack" >> beam.Map(
            _raw_histories, beam.pvalue.AsList(events), self._job.schema.history.length, self._job.schema.item.dtype)


class _MapItems(VocabularyDoFn):
    def process(self, element: tuple[str, pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        split, batch = element
        columns = {USER_ID: batch[USER_ID], TIME: batch[TIME], ROW: self._vocabularies.rows("item", batch[ITEM_ID])}
        raw = {ITEM_ID: batch[ITEM_ID]} if split == RAW else {}
        yield ENGAGED, pa.RecordBatch.from_pydict(columns | raw)


def _of_users(element: tuple[str, pa.RecordBatch], tables: list[pa.Table]) -> Iterator[tuple[str, pa.RecordBatch]]:
    _, batch = element
    for table in tables:
        yield RAW, batch.filter(pc.is_in(batch[USER_ID], table[USER_ID].combine_chunks()))


def _raw_histories(table: pa.Table, events: list[tuple[str, pa.RecordBatch]], length: int, dtype: str) -> pa.Table:
    batches = [batch for _, batch in events]
    empty = pa.array([[]] * table.num_rows, pa.list_(ARROW_TYPES[dtype]))
    lists = Histories(pa.Table.from_batches(batches), length, ITEM_ID).before(
        table[USER_ID].combine_chunks(), table[TIME].to_numpy()) if batches else empty
    return table.append_column(HISTORY, lists)


def _assign(split: str, batch: pa.RecordBatch, buckets: int) -> Iterator[tuple[int, tuple[str, pa.RecordBatch]]]:
    numbers = hash_ids(batch[USER_ID]) % np.uint64(buckets)
    for bucket in np.unique(numbers):
        yield int(bucket), (split, batch.filter(pa.array(numbers == bucket)))


def _look_back(bucket: tuple[int, Iterable[tuple[str, pa.RecordBatch]]], length: int
               ) -> Iterator[tuple[str, pa.RecordBatch]]:
    # Two passes: the values of a key may be more than fit into memory and are read again from where they lie.
    events = [batch for split, batch in bucket[1] if split == ENGAGED]
    histories = Histories(pa.Table.from_batches(events), length) if events else None
    for split, batch in bucket[1]:
        if split != ENGAGED:
            columns: dict[str, Any] = dict(zip(batch.schema.names, batch.columns, strict=True))
            times = columns.pop(TIME).to_numpy()
            columns[HISTORY] = histories.before(batch[USER_ID], times) if histories else pa.array(
                [[]] * batch.num_rows, pa.list_(pa.int64()))
            yield split, pa.RecordBatch.from_pydict(columns)


class Histories:
    """Engagements by user and time.

    Args:
      events: columns user_id, @time (int64), row (int32) and ``content``.
      length: most engagements of a history.
      content: column that histories are made of.
    """

    def __init__(self, events: pa.Table, length: int, content: str = ROW):
        codes, users = pd.factorize(events[USER_ID].to_numpy())
        times, rows = events[TIME].to_numpy(), events[ROW].to_numpy()
        # Engagements of one user and time have no order but this.
        order = np.lexsort((rows, times, codes))
        self._length, self._users = length, pd.Index(users)
        self._content = events[content].combine_chunks().take(pa.array(order))
        self._times, ranks = np.unique(times[order], return_inverse=True)
        self._keys = codes[order] * self._stride + ranks

    @property
    def _stride(self) -> int:
        return len(self._times) + 1

    def before(self, users: pa.Array, times: np.ndarray) -> pa.ListArray:
        """Lists [n], of int64 where they are of rows: each user's last engagements before a time, the latest last."""
        codes = self._users.get_indexer(pd.Index(users.to_numpy(zero_copy_only=False)))
        first = np.searchsorted(self._keys, codes * self._stride)
        end = np.searchsorted(self._keys, codes * self._stride + np.searchsorted(self._times, times))
        start = np.maximum(first, end - self._length)
        lengths = np.where(codes < 0, 0, end - start)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(start - offsets[:-1], lengths) + np.arange(offsets[-1])
        content = self._content.take(pa.array(places))
        kind = pa.int64() if pa.types.is_integer(content.type) else content.type
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), content.cast(kind))
