"""Point-in-time history: the last N items that a user engaged with strictly before an impression.

Engagements at the same time as the impression are excluded: they may be its outcome. So are those whose time is a date
or is rounded down and may therefore lie after the impression, see ``logs.times``.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.job import Job
from beam_pipelines.logs.keys import END, TIME
from beam_pipelines.transforms.id_lookups import LookupDoFn, SharedLookups
from beam_pipelines.transforms.user_buckets import AssignUserBuckets
from tfrs_pretrain.schema import HISTORY, ITEM_ID, USER_ID
from tfrs_pretrain.value_types import ARROW_TYPES

ROW = "row"
ENGAGED, RAW = "@engaged", "@raw"  # replace the split of engagements


class JoinHistory(beam.PTransform):
    """Adds a column ``history`` (list of int64 item rows, the latest last) to batches with user_id and @time.

    Users and their engagements are grouped in ``buckets`` hash buckets. A worker loads the engagements of one bucket
    (about 100 bytes each during sorting, 12 afterwards) and processes its impressions batch by batch: the memory does
    not depend on their number.

    Args:
      job: length of a history and number of buckets.
      engagements: cleaned engagements of all times, ``(split, batch)``.
      lookups: of the pipeline.
    """

    def __init__(self, job: Job, engagements: beam.PCollection[tuple[str, pa.RecordBatch]],
                 lookups: SharedLookups):
        super().__init__()
        self._job, self._engagements, self._lookups = job, engagements, lookups

    def expand(
        self, split_to_batch: beam.PCollection[tuple[str, pa.RecordBatch]]
    ) -> beam.PCollection[tuple[str, pa.RecordBatch]]:
        assert self._job.schema.history is not None
        events = (
            self._engagements
            | "MapItems" >> beam.ParDo(_MapItems(self._lookups)).with_output_types(tuple[str, pa.RecordBatch])
        )
        return (
            (events, split_to_batch)
            | "MergeEventsAndImpressions" >> beam.Flatten()
            | "AssignBuckets" >> AssignUserBuckets(self._job.num_buckets)
            | "GroupByBucket" >> beam.GroupByKey()
            | "AddHistories" >> beam.FlatMap(_add_histories, self._job.schema.history.length).with_output_types(
                tuple[str, pa.RecordBatch])
        )


class JoinRawHistory(beam.PTransform):
    """Adds the column ``history`` to tables of a few impressions as ``JoinHistory`` does, with raw ids instead of rows.

    Gathers the engagements of their users in one place.
    """

    def __init__(self, job: Job, engagements: beam.PCollection[tuple[str, pa.RecordBatch]],
                 lookups: SharedLookups):
        super().__init__()
        self._job, self._engagements, self._lookups = job, engagements, lookups

    def expand(self, tables: beam.PCollection[pa.Table]) -> beam.PCollection[pa.Table]:
        assert self._job.schema.history is not None
        events = (
            self._engagements
            | "SelectUsers" >> beam.FlatMap(_select_users, beam.pvalue.AsList(tables)).with_output_types(
                tuple[str, pa.RecordBatch])
            | "MapItems" >> beam.ParDo(_MapItems(self._lookups)).with_output_types(tuple[str, pa.RecordBatch])
        )
        return tables | "AddRawHistories" >> beam.Map(
            _add_raw_histories, beam.pvalue.AsList(events), self._job.schema.history.length,
            self._job.schema.item.dtype)


class _MapItems(LookupDoFn):
    def process(self, element: tuple[str, pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        split, batch = element
        columns = {USER_ID: batch[USER_ID], TIME: batch[END], ROW: self._lookups.lookup("item", batch[ITEM_ID])}
        raw = {ITEM_ID: batch[ITEM_ID]} if split == RAW else {}
        yield ENGAGED, pa.RecordBatch.from_pydict(columns | raw)


def _select_users(element: tuple[str, pa.RecordBatch], tables: list[pa.Table]) -> Iterator[tuple[str, pa.RecordBatch]]:
    _, batch = element
    for table in tables:
        yield RAW, batch.filter(pc.is_in(batch[USER_ID], table[USER_ID].combine_chunks()))


def _add_raw_histories(table: pa.Table, events: list[tuple[str, pa.RecordBatch]], length: int, dtype: str) -> pa.Table:
    batches = [batch for _, batch in events]
    empty = pa.array([[]] * table.num_rows, pa.list_(ARROW_TYPES[dtype]))
    lists = Histories(pa.Table.from_batches(batches), length, ITEM_ID).before(
        table[USER_ID].combine_chunks(), table[TIME].to_numpy()) if batches else empty
    return table.append_column(HISTORY, lists)


def _add_histories(bucket: tuple[int, Iterable[tuple[str, pa.RecordBatch]]], length: int
                   ) -> Iterator[tuple[str, pa.RecordBatch]]:
    # Two passes: the values of a key may exceed the memory; the runner reads them again from its storage.
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
    """Engagements sorted by user and time.

    Args:
      events: columns user_id, @time (int64), row (int32) and ``content``.
      length: maximum length of a history.
      content: name of the column that histories contain.
    """

    def __init__(self, events: pa.Table, length: int, content: str = ROW):
        codes, users = pd.factorize(events[USER_ID].to_numpy())
        times, rows = events[TIME].to_numpy(), events[ROW].to_numpy()
        # Engagements of one user at one time are ordered by row, to be deterministic.
        order = np.lexsort((rows, times, codes))
        self._length, self._users = length, pd.Index(users)
        self._content = events[content].combine_chunks().take(pa.array(order))
        self._times, ranks = np.unique(times[order], return_inverse=True)
        # Sort key of an engagement: user, then rank of its time.
        self._keys = codes[order] * len(self._times) + ranks

    def before(self, users: pa.Array, times: np.ndarray) -> pa.ListArray:
        """Returns the last engagements of each user strictly before a time, the latest last.

        Args:
          users: raw user ids [n].
          times: int64 [n].

        Returns:
          Lists [n] of ``content``; of int64 if it is an integer column.
        """
        codes = self._users.get_indexer(pd.Index(users.to_numpy(zero_copy_only=False)))
        first = np.searchsorted(self._keys, codes * len(self._times))
        end = np.searchsorted(self._keys, codes * len(self._times) + np.searchsorted(self._times, times))
        start = np.maximum(first, end - self._length)
        lengths = np.where(codes < 0, 0, end - start)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(start - offsets[:-1], lengths) + np.arange(offsets[-1])
        content = self._content.take(pa.array(places))
        dtype = pa.int64() if pa.types.is_integer(content.type) else content.type
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), content.cast(dtype))
