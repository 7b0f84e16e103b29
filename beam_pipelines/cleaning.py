"""From raw log batches to batches of good rows by split: masks, not exceptions, so that one bad row costs one row."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.accounting import Account
from beam_pipelines.job import Log, arrow_type
from tfrs_pretrain.schema import ITEM_ID, LABEL, USER_ID, Feature

# Column of the event's time in a cleaned batch; no feature can have this name in a configuration file by accident.
TIME = "@time"
ACCOUNTS = "accounts"


class CleanLog(beam.PTransform):
    """Rejects bad rows, keeps the rows of the windows and brings columns to their declared names and types.

    Outputs ``(split, batch)`` with columns user_id, item_id, @time, label (impressions) and one per context feature
    (categorical ones dictionary-encoded), and tagged ``accounts`` an Account per input batch.
    """

    def __init__(self, log: Log):
        super().__init__()
        self._log = log

    def expand(self, batches: beam.PCollection[pa.RecordBatch]) -> Any:
        return batches | "Clean" >> beam.ParDo(_Clean(self._log)).with_output_types(
            tuple[str, pa.RecordBatch], accounts=Account).with_outputs(ACCOUNTS, main="batches")


class _Clean(beam.DoFn):
    def __init__(self, log: Log):
        self._log = log

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        parts, account = clean(batch, self._log)
        yield from parts.items()
        yield beam.pvalue.TaggedOutput(ACCOUNTS, account)


def clean(batch: pa.RecordBatch, log: Log) -> tuple[dict[str, pa.RecordBatch], Account]:
    """The good rows of a batch by split, without empty splits, and the account of all of its rows."""
    good = np.ones(batch.num_rows, bool)
    rejected: Counter[str] = Counter()
    for reason, mask in bad_rows(batch, log):
        rejected[reason] += int((good & mask).sum())
        good &= ~mask
    window = as_integer(batch[log.schema.window])
    values = window.fill_null(0).to_numpy(zero_copy_only=False)
    parts, outside = {}, good
    for split, interval in log.windows.items():
        start, end = interval.bounds
        inside = good & (values >= start) & (values < end)
        outside = outside & ~inside
        if inside.any():
            parts[split] = canonical(batch.filter(pa.array(inside)), log)
    span = pc.min_max(window).as_py()
    kept = Counter({split: part.num_rows for split, part in parts.items()})
    return parts, Account(batch.num_rows, kept, +rejected, int(outside.sum()), span["min"], span["max"])


def bad_rows(batch: pa.RecordBatch, log: Log) -> Iterator[tuple[str, np.ndarray]]:
    """Reason and bool mask [rows] of each check; a row counts under the first reason that holds."""
    schema = log.schema
    for name, space in schema.id_spaces.items():
        yield f"missing {name} id", _is_missing(batch[space.column])
        if space.dtype == "int64":
            yield f"negative {name} id", _as_mask(pc.less(batch[space.column], 0))
    yield "missing time", _as_mask(pc.is_null(batch[schema.time]))
    yield "missing window", _as_mask(pc.is_null(batch[schema.window]))
    if log.label:
        label = batch[log.label].cast(pa.float64())
        yield "missing label", _as_mask(pc.is_null(label))
        yield "label outside 0 and 1", _as_mask(pc.invert(pc.or_(pc.equal(label, 0), pc.equal(label, 1))))


def canonical(batch: pa.RecordBatch, log: Log) -> pa.RecordBatch:
    """Columns under their declared names and types."""
    schema = log.schema
    columns = {
        USER_ID: batch[schema.user.column].cast(arrow_type(schema.user.dtype)),
        ITEM_ID: batch[schema.item.column].cast(arrow_type(schema.item.dtype)),
        TIME: as_integer(batch[schema.time]),
    }
    if log.label:
        columns[LABEL] = batch[log.label].cast(pa.float32())
    columns |= {feature.name: feature_column(batch[feature.source_column], feature) for feature in log.context}
    return pa.RecordBatch.from_pydict(columns)


def feature_column(column: pa.Array, feature: Feature) -> pa.Array:
    """Raw values as a dictionary array (categorical) or float32 with null where missing or not finite (numeric)."""
    if feature.kind == "numeric":
        # float64 beyond float32's range becomes infinite, hence missing.
        values = column.cast(pa.float32(), safe=False)
        return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float32()))
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(arrow_type(feature.dtype)).dictionary_encode()


def as_integer(column: pa.Array) -> pa.Array:
    """int64: integers as they are, dates and timestamps in microseconds since 1970-01-01 UTC."""
    if pa.types.is_integer(column.type):
        return column.cast(pa.int64())
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    return column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())


def _is_missing(column: pa.Array) -> np.ndarray:
    missing = pc.is_null(column)
    if not pa.types.is_integer(column.type):
        missing = pc.or_(missing, pc.equal(pc.binary_length(column.cast(pa.string())), 0).fill_null(True))
    return _as_mask(missing)


def _as_mask(values: pa.Array) -> np.ndarray:
    return values.fill_null(False).to_numpy(zero_copy_only=False)
