"""Cleans raw batches of a log: rejects bad rows and assigns good rows to splits."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.log_spec import LogSpec, TimeRules
from beam_pipelines.logs.accounting import Account
from beam_pipelines.logs.conditions import add_computed_labels, evaluate
from beam_pipelines.logs.keys import END, TIME, event_hash, request_hash
from beam_pipelines.logs.rejected_rows import select_rejected
from beam_pipelines.logs.row_checks import (
    Check,
    check_rows,
    convert_columns,
    relation_names,
    to_mask,
    unparsable_reason,
)
from beam_pipelines.logs.times import Times, normalize
from beam_pipelines.logs.weights import impression_weights
from beam_pipelines.sources import RawBatch
from tfrs_pretrain.hashing import fraction, mix
from tfrs_pretrain.schema import ITEM_ID, LABEL, REQUEST, USER_ID, WEIGHT
from tfrs_pretrain.value_types import ARROW_TYPES

# Columns of a cleaned batch in addition to the declared ones; "@" prevents collisions with names of features.
RELATION, FILE, POSITION = "@relation", "@file", "@position"
WINDOW, WINDOW_END = "@window", "@window end"  # of a batch before it is split
ACCOUNTS, REJECTED = "accounts", "rejected"
SAMPLING_SALT = np.uint64(0x5A3D)


class CleanLog(beam.PTransform):
    """Rejects bad rows, selects the rows of the windows, and converts columns to their declared names and types.

    Outputs:
      batches: ``(split, batch)`` with columns user_id, item_id, @time, @end (if the log has no windows), @relation and
        request and weight (if the log has them), labels and context features (categorical ones dictionary-encoded), and
        @file and @position if duplicates are rejected.
      accounts: an Account for each input batch.
      rejected: batches of ``rejected_rows.REJECTED_SCHEMA``.
    """

    def __init__(self, log: LogSpec):
        super().__init__()
        self._log = log

    def expand(self, batches: beam.PCollection[RawBatch]) -> Any:
        return batches | "CleanBatch" >> beam.ParDo(_CleanBatch(self._log)).with_output_types(
            tuple[str, pa.RecordBatch], accounts=Account, rejected=pa.RecordBatch).with_outputs(
                ACCOUNTS, REJECTED, main="batches")


class _CleanBatch(beam.DoFn):
    def __init__(self, log: LogSpec):
        self._log = log

    def process(self, batch: RawBatch) -> Iterator[Any]:
        cleaned = clean_batch(batch, self._log)
        yield from cleaned.by_split.items()
        yield beam.pvalue.TaggedOutput(ACCOUNTS, cleaned.account)
        if cleaned.rejected.num_rows:
            yield beam.pvalue.TaggedOutput(REJECTED, cleaned.rejected)


@dataclasses.dataclass(frozen=True)
class CleanedBatch:
    """Result of cleaning a batch.

    Attributes:
      by_split: split -> good rows; without empty splits.
      account: account of all rows.
      rejected: bad rows, of ``rejected_rows.REJECTED_SCHEMA``.
    """

    by_split: dict[str, pa.RecordBatch]
    account: Account
    rejected: pa.RecordBatch


def clean_batch(raw: RawBatch, log: LogSpec) -> CleanedBatch:
    """Cleans one batch, see ``CleanLog``."""
    batch, unparsable = convert_columns(raw.columns, log)
    batch = add_computed_labels(batch, log)
    times = normalize(raw.columns[log.schema.time], batch[log.schema.time], log.time_rules)
    windows = _normalize_windows(raw, batch, log)
    batch = _add_times(batch, times, windows)
    excluded = _excluded(batch, dict(unparsable), log)
    good = ~excluded
    reasons = np.full(batch.num_rows, None, object)
    for reason, bad in [*unparsable, *check_rows(batch, log), *times.bad, *_window_checks(windows)]:
        reasons[good & bad] = reason
        good &= ~bad
    rejected = select_rejected(raw, reasons)
    by_split, filtered = _split(batch, raw, good, log)
    filtered["not selected by where"] = int(excluded.sum())
    kept = Counter({split: part.num_rows for split, part in by_split.items()})
    low, high = pc.min_max(windows.values).as_py().values() if windows else (None, None)
    first, last = pc.min_max(times.values).as_py().values()
    account = Account(batch.num_rows + len(raw.malformed), kept, Counter(rejected["reason"].to_pylist()), +filtered,
                      low, high, raw.present, times.forms, first, last, windows.forms if windows else Counter())
    return CleanedBatch(by_split, account, rejected)


def _excluded(batch: pa.RecordBatch, unparsable: dict[str, np.ndarray], log: LogSpec) -> np.ndarray:
    """Returns bool [n]: rows that ``where`` excludes. A value that cannot be parsed is an error of its row."""
    if log.where is None:
        return np.zeros(batch.num_rows, bool)
    bad = unparsable.get(unparsable_reason(log.where.column, log), np.zeros(batch.num_rows, bool))
    excluded: np.ndarray = ~(to_mask(evaluate(log.where, batch)) | bad)
    return excluded


def _normalize_windows(raw: RawBatch, batch: pa.RecordBatch, log: LogSpec) -> Times | None:
    """Returns the values of the window column; integers without a unit if the windows are intervals of integers."""
    if not log.windows:
        return None
    rules = log.time_rules if log.has_date_windows else TimeRules()
    # Windows of dates select dates of any zone.
    return normalize(raw.columns[log.schema.window], batch[log.schema.window], rules, shift_dates=False)


def _window_checks(windows: Times | None) -> list[Check]:
    return [(reason.replace("time", "window", 1), mask) for reason, mask in windows.bad] if windows else []


def _add_times(batch: pa.RecordBatch, times: Times, windows: Times | None) -> pa.RecordBatch:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True)) | {TIME: times.values}
    added = {WINDOW: windows.values, WINDOW_END: windows.ends} if windows else {END: times.ends}
    return pa.RecordBatch.from_pydict(columns | added)


def _split(batch: pa.RecordBatch, raw: RawBatch, good: np.ndarray, log: LogSpec
           ) -> tuple[dict[str, pa.RecordBatch], Counter[str]]:
    """Returns the good rows by split, and the number of rows that the configuration excludes, by reason."""
    filtered: Counter[str] = Counter()
    ignored = [name for name, weight in log.relations.items() if not weight]
    if ignored:
        without_weight = good & to_mask(pc.is_in(relation_names(batch, log), pa.array(ignored)))
        filtered["relation of weight 0"] = int(without_weight.sum())
        good = good & ~without_weight
    by_split, outside = {}, good
    for split, inside in _select_windows(batch, good, log):
        outside = outside & ~inside
        part = to_declared_columns(batch.filter(pa.array(inside)), raw, inside, log)
        sampled = _downsample(part, log, log.negative_rates[split]) if split in log.negative_rates else part
        filtered["negative down-sampling"] += part.num_rows - sampled.num_rows
        if sampled.num_rows:
            by_split[split] = sampled
    filtered["outside every window"] = int(outside.sum())
    return by_split, filtered


def _select_windows(batch: pa.RecordBatch, good: np.ndarray, log: LogSpec) -> Iterator[tuple[str, np.ndarray]]:
    """Yields each split with bool [n]: its good rows.

    A row is in a window if all of its span is. A date is not in a window that ends at noon: its event may be later.
    """
    if not log.windows:
        yield "all", good
        return
    known = batch[WINDOW].is_valid().to_numpy(zero_copy_only=False)
    values, ends = (batch[name].fill_null(0).to_numpy(zero_copy_only=False) for name in (WINDOW, WINDOW_END))
    for split, interval in log.windows.items():
        start, end = interval.bounds
        yield split, good & known & (values >= start) & (ends < end)


def _downsample(part: pa.RecordBatch, log: LogSpec, rate: float) -> pa.RecordBatch:
    """Keeps all positives, and the negatives whose hash is below the rate, independent of batches and order."""
    selected = fraction(mix(event_hash(part, log.context_features) + SAMPLING_SALT)) < rate
    return part.filter(pa.array(selected | (part[LABEL].to_numpy() != 0)))


def to_declared_columns(batch: pa.RecordBatch, raw: RawBatch, selected: np.ndarray, log: LogSpec) -> pa.RecordBatch:
    """Converts columns to their declared names and types.

    Args:
      batch: the selected rows, with the columns of the log.
      raw: the batch that they were read in.
      selected: bool [rows of raw].
      log: declaration.
    """
    schema = log.schema
    columns = {
        USER_ID: batch[schema.user.column].cast(ARROW_TYPES[schema.user.dtype]),
        ITEM_ID: batch[schema.item.column].cast(ARROW_TYPES[schema.item.dtype]),
        TIME: batch[TIME],
    }
    if not log.windows:
        columns[END] = batch[END]
    if log.relations:
        columns[RELATION] = pc.index_in(relation_names(batch, log), pa.array(list(log.relations)))
    labels = {name: batch[column].cast(pa.float32()) for name, column in log.labels.items()}
    if log.request:
        columns[REQUEST] = request_hash(columns[USER_ID], batch[log.request])
    columns |= labels | {name: _nan_if_missing(labels[name]) for name in log.optional_labels}
    if log.weights:
        columns[WEIGHT] = pa.array(impression_weights(batch, log).astype(np.float32))
    columns |= {feature.name: feature.clean(batch[feature.source_column]) for feature in log.context_features}
    if log.reject_duplicates:
        columns[FILE] = pa.DictionaryArray.from_arrays(np.zeros(batch.num_rows, np.int32), [raw.path])
        columns[POSITION] = pa.array(raw.positions[selected])
    return pa.RecordBatch.from_pydict(columns)


def _nan_if_missing(labels: pa.Array) -> pa.Array:
    """Replaces null, and NaN of any bits, with one NaN: equal rows have equal bytes."""
    missing = pc.is_nan(labels).fill_null(True)
    return pc.if_else(missing, pa.scalar(math.nan, pa.float32()), labels)
