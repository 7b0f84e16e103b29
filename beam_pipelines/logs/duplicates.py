"""Rows that repeat a key: one stays, the others go to the dead letter."""

import functools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.logs.accounting import Account
from beam_pipelines.logs.cleaning import ACCOUNTS, FILE, POSITION, REJECTED, RELATION, rejected_batch
from beam_pipelines.logs.keys import TIME, event_hash
from beam_pipelines.records.row_order import decode_dictionaries
from tfrs_pretrain.features.lists import hash_lists
from tfrs_pretrain.schema import ITEM_ID, USER_ID

SPLIT, LIST_HASH = "@split", "@hash of "


class RejectDuplicates(beam.PTransform):
    """Cleaned ``(split, batch)`` elements -> the same without rows whose key occurred, accounts and rejected rows.

    Rows of equal key meet in one of ``buckets`` parts, by hash. Which one stays depends on the rows' content, not on
    where they were read: the one with labels set, then the smallest by its columns in order.
    """

    def __init__(self, log: LogSpec, buckets: int):
        super().__init__()
        self._log, self._buckets = log, buckets

    def expand(self, batches: beam.PCollection[tuple[str, pa.RecordBatch]]) -> Any:
        return (
            batches
            | "AssignBuckets" >> beam.FlatMapTuple(functools.partial(
                _assign, log=self._log, buckets=self._buckets)).with_output_types(
                tuple[int, tuple[str, pa.RecordBatch]])
            | "GroupBuckets" >> beam.GroupByKey()
            | "KeepOne" >> beam.ParDo(_KeepOne(self._log)).with_output_types(
                tuple[str, pa.RecordBatch], accounts=Account, rejected=pa.RecordBatch).with_outputs(
                    ACCOUNTS, REJECTED, main="batches")
        )


def _assign(split: str, batch: pa.RecordBatch, log: LogSpec, buckets: int
            ) -> Iterator[tuple[int, tuple[str, pa.RecordBatch]]]:
    numbers = event_hash(batch, log.context_features) % np.uint64(buckets)
    for bucket in np.unique(numbers):
        yield int(bucket), (split, batch.filter(pa.array(numbers == bucket)))


class _KeepOne(beam.DoFn):
    def __init__(self, log: LogSpec):
        self._log = log

    def process(self, element: tuple[int, Iterable[tuple[str, pa.RecordBatch]]]) -> Iterator[Any]:
        rows = pa.concat_tables([
            with_hashes(decode_dictionaries(pa.Table.from_batches([batch]))).append_column(
                SPLIT, pa.array([split] * batch.num_rows))
            for split, batch in element[1]])
        ordered = rows.sort_by(self._order(rows)).combine_chunks()
        repeated = _repeats(ordered, self._key(ordered))
        kept, extra = ordered.filter(pa.array(~repeated)), ordered.filter(pa.array(repeated))
        for split in kept[SPLIT].unique().to_pylist():
            yield split, self._cleaned(kept.filter(pc.equal(kept[SPLIT], split)))
        if extra.num_rows:
            yield beam.pvalue.TaggedOutput(REJECTED, self._dead_letter(extra))
            yield beam.pvalue.TaggedOutput(ACCOUNTS, Account(
                kept=Counter({split: -count for split, count in Counter(extra[SPLIT].to_pylist()).items()}),
                rejected=Counter({self._reason: extra.num_rows})))

    @property
    def _reason(self) -> str:
        return f"duplicate {self._log.table.removesuffix('s')}"

    def _key(self, rows: pa.Table) -> list[str]:
        relation = [RELATION] if self._log.relations else []
        return [USER_ID, ITEM_ID, TIME, *relation, *(
            LIST_HASH + feature.name if pa.types.is_list(rows.schema.field(feature.name).type) else feature.name
            for feature in self._log.context_features)]

    def _order(self, rows: pa.Table) -> list[tuple[str, str]]:
        first = [(name, "ascending") for name in self._key(rows)] + [(name, "descending") for name in self._log.labels]
        named = {name for name, _ in first} | {FILE, POSITION}
        others = [field.name for field in rows.schema if field.name not in named and not pa.types.is_list(field.type)]
        return [*first, *((name, "ascending") for name in [*others, FILE, POSITION])]

    def _cleaned(self, rows: pa.Table) -> pa.RecordBatch:
        """A batch as cleaning makes it; where the rows stood matters no longer."""
        columns = {name: rows[name].combine_chunks() for name in rows.column_names
                   if name not in (SPLIT, FILE, POSITION) and not name.startswith(LIST_HASH)}
        features = {feature.name: feature.clean(columns[feature.name]) for feature in self._log.context_features}
        return pa.RecordBatch.from_pydict(columns | features)

    def _dead_letter(self, rows: pa.Table) -> pa.RecordBatch:
        hashes = [name for name in rows.column_names if name.startswith(LIST_HASH)]
        values = rows.drop_columns([SPLIT, FILE, POSITION, *hashes]).to_pylist()
        texts = [json.dumps(row, default=str, ensure_ascii=False) for row in values]
        return rejected_batch([self._reason] * rows.num_rows, rows[FILE].to_pylist(), rows[POSITION].to_pylist(), texts)


def with_hashes(rows: pa.Table) -> pa.Table:
    """Beside each column of lists their hashes: lists have neither order nor equality in Arrow."""
    for field in rows.schema:
        if pa.types.is_list(field.type):
            hashes = hash_lists(rows[field.name].combine_chunks())
            rows = rows.append_column(LIST_HASH + field.name, pa.array(hashes))
    return rows


def _repeats(ordered: pa.Table, key: list[str]) -> np.ndarray:
    """bool [rows]: every column of the key is as in the row before."""
    same = np.ones(ordered.num_rows, bool)
    same[:1] = False
    for name in key:
        column = ordered[name].combine_chunks()
        now, before = column.slice(1), column.slice(0, max(len(column) - 1, 0))
        equal = pc.or_(pc.equal(now, before).fill_null(False), pc.and_(pc.is_null(now), pc.is_null(before)))
        same[1:] &= equal.to_numpy(zero_copy_only=False)
    return same
