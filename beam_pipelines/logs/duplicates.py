"""Rejects rows that repeat a key."""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.logs.accounting import Account
from beam_pipelines.logs.cleaning import ACCOUNTS, FILE, POSITION, REJECTED, RELATION
from beam_pipelines.logs.keys import TIME, event_hash
from beam_pipelines.logs.rejected_rows import rejected_batch, to_json_lines
from beam_pipelines.records.partitions import AssignBuckets
from beam_pipelines.records.row_order import decode_dictionaries
from tfrs_pretrain.features.lists import hash_lists
from tfrs_pretrain.schema import ITEM_ID, USER_ID

SPLIT, LIST_HASH = "@split", "@hash of "


class RejectDuplicates(beam.PTransform):
    """Keeps one row of each key of cleaned ``(split, batch)`` elements; outputs as of ``CleanLog``.

    The key is user, item, time, relation and context features. Rows of equal key are grouped in one of ``buckets``
    hash buckets. The row that is kept depends on the contents of the rows, not on where they were read: the one with
    labels set, then the smallest by its columns in order.
    """

    def __init__(self, log: LogSpec, buckets: int):
        super().__init__()
        self._log, self._buckets = log, buckets

    def expand(self, split_to_batch: beam.PCollection[tuple[str, pa.RecordBatch]]) -> Any:
        return (
            split_to_batch
            | "AssignBuckets" >> AssignBuckets(functools.partial(
                event_hash, context_features=self._log.context_features), self._buckets)
            | "GroupByBucket" >> beam.GroupByKey()
            | "KeepFirst" >> beam.ParDo(_KeepFirst(self._log)).with_output_types(
                tuple[str, pa.RecordBatch], accounts=Account, rejected=pa.RecordBatch).with_outputs(
                    ACCOUNTS, REJECTED, main="batches")
        )


class _KeepFirst(beam.DoFn):
    def __init__(self, log: LogSpec):
        self._log = log

    def process(self, element: tuple[int, Iterable[tuple[str, pa.RecordBatch]]]) -> Iterator[Any]:
        table = pa.concat_tables([
            add_list_hashes(decode_dictionaries(pa.Table.from_batches([batch]))).append_column(
                SPLIT, pa.array([split] * batch.num_rows))
            for split, batch in element[1]])
        ordered = table.sort_by(self._order(table)).combine_chunks()
        repeated = _repeats_previous(ordered, self._key(ordered))
        kept, rejected = ordered.filter(pa.array(~repeated)), ordered.filter(pa.array(repeated))
        for split in kept[SPLIT].unique().to_pylist():
            yield split, self._to_cleaned(kept.filter(pc.equal(kept[SPLIT], split)))
        if rejected.num_rows:
            yield beam.pvalue.TaggedOutput(REJECTED, self._to_rejected(rejected))
            yield beam.pvalue.TaggedOutput(ACCOUNTS, Account(
                kept=Counter({split: -count for split, count in Counter(rejected[SPLIT].to_pylist()).items()}),
                rejected=Counter({self._reason: rejected.num_rows})))

    @property
    def _reason(self) -> str:
        return f"duplicate {self._log.table.removesuffix('s')}"

    def _key(self, table: pa.Table) -> list[str]:
        relation = [RELATION] if self._log.relations else []
        return [USER_ID, ITEM_ID, TIME, *relation, *(
            LIST_HASH + feature.name if pa.types.is_list(table.schema.field(feature.name).type) else feature.name
            for feature in self._log.context_features)]

    def _order(self, table: pa.Table) -> list[tuple[str, str]]:
        first = [(name, "ascending") for name in self._key(table)] + [
            (name, "descending") for name in self._log.labels]
        named = {name for name, _ in first} | {FILE, POSITION}
        others = [field.name for field in table.schema if field.name not in named and not pa.types.is_list(field.type)]
        return [*first, *((name, "ascending") for name in [*others, FILE, POSITION])]

    def _to_cleaned(self, table: pa.Table) -> pa.RecordBatch:
        """Converts to a batch as ``CleanLog`` returns it, without the positions, which are no longer needed."""
        columns = {name: table[name].combine_chunks() for name in table.column_names
                   if name not in (SPLIT, FILE, POSITION) and not name.startswith(LIST_HASH)}
        features = {feature.name: feature.clean(columns[feature.name]) for feature in self._log.context_features}
        return pa.RecordBatch.from_pydict(columns | features)

    def _to_rejected(self, table: pa.Table) -> pa.RecordBatch:
        hashes = [name for name in table.column_names if name.startswith(LIST_HASH)]
        rows = table.drop_columns([SPLIT, FILE, POSITION, *hashes]).to_pylist()
        return rejected_batch([self._reason] * table.num_rows, table[FILE].to_pylist(), table[POSITION].to_pylist(),
                              to_json_lines(rows))


def add_list_hashes(table: pa.Table) -> pa.Table:
    """Adds a column of hashes for each column of lists: Arrow can neither sort nor compare lists."""
    for field in table.schema:
        if pa.types.is_list(field.type):
            hashes = hash_lists(table[field.name].combine_chunks())
            table = table.append_column(LIST_HASH + field.name, pa.array(hashes))
    return table


def _repeats_previous(ordered: pa.Table, key: list[str]) -> np.ndarray:
    """Returns bool [n]: every column of the key equals that of the previous row; null equals null."""
    same = np.ones(ordered.num_rows, bool)
    same[:1] = False
    for name in key:
        column = ordered[name].combine_chunks()
        current, previous = column.slice(1), column.slice(0, max(len(column) - 1, 0))
        equal = pc.or_(pc.equal(current, previous).fill_null(False), pc.and_(pc.is_null(current), pc.is_null(previous)))
        same[1:] &= equal.to_numpy(zero_copy_only=False)
    return same
