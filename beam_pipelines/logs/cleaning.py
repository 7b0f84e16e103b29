"""From raw log batches to batches of good rows by split: masks, not exceptions, so that one bad row costs one row."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.logs.accounting import Account
from beam_pipelines.logs.keys import TIME, event_hash, request_hash
from beam_pipelines.logs.text_values import needs_parsing, parse
from beam_pipelines.sources import RawBatch
from tfrs_pretrain.hashing import fraction, mix
from tfrs_pretrain.schema import ITEM_ID, LABEL, REQUEST, USER_ID
from tfrs_pretrain.value_types import ARROW_TYPES

# Columns of a cleaned batch beside the declared ones; no feature can have such a name by accident.
RELATION, FILE, POSITION = "@relation", "@file", "@position"
ACCOUNTS, REJECTED = "accounts", "rejected"
REJECTED_SCHEMA = pa.schema([("reason", pa.string()), ("file", pa.string()), ("position", pa.int64()),
                             ("values", pa.string())])
SAMPLING_SALT = np.uint64(0x5A3D)


class CleanLog(beam.PTransform):
    """Rejects bad rows, keeps the rows of the windows and brings columns to their declared names and types.

    Outputs ``(split, batch)`` with columns user_id, item_id, @time, @relation and request (where the log has them),
    labels and one per context feature (categorical ones dictionary-encoded), and @file and @position where
    duplicates are looked for; tagged ``accounts`` an Account per input batch; tagged ``rejected`` batches of
    REJECTED_SCHEMA.
    """

    def __init__(self, log: LogSpec):
        super().__init__()
        self._log = log

    def expand(self, batches: beam.PCollection[RawBatch]) -> Any:
        return batches | "Clean" >> beam.ParDo(_Clean(self._log)).with_output_types(
            tuple[str, pa.RecordBatch], accounts=Account, rejected=pa.RecordBatch).with_outputs(
                ACCOUNTS, REJECTED, main="batches")


class _Clean(beam.DoFn):
    def __init__(self, log: LogSpec):
        self._log = log

    def process(self, batch: RawBatch) -> Iterator[Any]:
        cleaned = clean(batch, self._log)
        yield from cleaned.parts.items()
        yield beam.pvalue.TaggedOutput(ACCOUNTS, cleaned.account)
        if cleaned.rejected.num_rows:
            yield beam.pvalue.TaggedOutput(REJECTED, cleaned.rejected)


@dataclasses.dataclass(frozen=True)
class CleanedBatch:
    """The good rows of a batch by split, without empty splits, the account of all of its rows, and the bad ones."""

    parts: dict[str, pa.RecordBatch]
    account: Account
    rejected: pa.RecordBatch


def clean(raw: RawBatch, log: LogSpec) -> CleanedBatch:
    """Takes a raw batch apart."""
    batch, unparsable = typed(raw.columns, log)
    good = np.ones(batch.num_rows, bool)
    reasons = np.full(batch.num_rows, None, object)
    for reason, mask in [*unparsable, *row_checks(batch, log)]:
        reasons[good & mask] = reason
        good &= ~mask
    rejected = dead_letter(raw, reasons)
    parts, filtered = _split(batch, raw, good, log)
    kept = Counter({split: part.num_rows for split, part in parts.items()})
    span = pc.min_max(to_int64(batch[log.schema.window])).as_py() if log.windows else {"min": None, "max": None}
    account = Account(batch.num_rows + len(raw.malformed), kept, Counter(rejected["reason"].to_pylist()), +filtered,
                      span["min"], span["max"])
    return CleanedBatch(parts, account, rejected)


def typed(rows: pa.RecordBatch, log: LogSpec) -> tuple[pa.RecordBatch, list[tuple[str, np.ndarray]]]:
    """Text columns as what they are declared to be, and bool masks [rows] of values that are something else."""
    roles = {space.column: f"{name} id" for name, space in log.schema.id_spaces.items()}
    roles |= {log.schema.window: "window", log.schema.time: "time"}
    columns, unparsable = {}, []
    for name, kind in log.value_types.items():
        columns[name] = rows[name]
        if needs_parsing(rows[name].type, kind):
            columns[name], mask = parse(rows[name], kind)
            unparsable.append((f"unparsable {roles.get(name, name)}", mask))
    return pa.RecordBatch.from_pydict(columns), unparsable


def row_checks(batch: pa.RecordBatch, log: LogSpec) -> Iterator[tuple[str, np.ndarray]]:
    """Reason and bool mask [rows] of each check; a row counts under the first reason that holds."""
    schema = log.schema
    for name, space in schema.id_spaces.items():
        yield f"missing {name} id", _is_missing(batch[space.column])
        if space.dtype == "int64":
            yield f"negative {name} id", _as_mask(pc.less(batch[space.column], 0))
    yield "missing time", _as_mask(pc.is_null(batch[schema.time]))
    if log.windows:
        yield "missing window", _as_mask(pc.is_null(batch[schema.window]))
    if log.request:
        yield "missing request", _is_missing(batch[log.request])
    for name, column in log.labels.items():
        label = batch[column].cast(pa.float64())
        yield f"missing {name}", _as_mask(pc.is_null(label))
        yield f"{name} outside 0 and 1", _as_mask(pc.invert(pc.or_(pc.equal(label, 0), pc.equal(label, 1))))
    if log.relations:
        relation = _relation(batch, log)
        yield "missing relation", _as_mask(pc.is_null(relation))
        yield "unknown relation", _as_mask(pc.invert(pc.is_in(relation, pa.array(list(log.relations)))))


def dead_letter(raw: RawBatch, reasons: np.ndarray) -> pa.RecordBatch:
    """Rows that have a reason, and the malformed ones, with their values as they were read."""
    places = np.flatnonzero(reasons != None)  # noqa: E711
    rows = [json.dumps(row, default=str, ensure_ascii=False) for row in raw.columns.take(pa.array(places)).to_pylist()]
    return rejected_batch([*reasons[places], *(row.reason for row in raw.malformed)], raw.path,
                         [*raw.positions[places].tolist(), *(row.position for row in raw.malformed)],
                         [*rows, *(row.text for row in raw.malformed)])


def rejected_batch(reasons: list[str], files: str | list[str], positions: list[int], values: list[str]
                  ) -> pa.RecordBatch:
    """A batch of REJECTED_SCHEMA; a position below 0 is none."""
    files = [files] * len(reasons) if isinstance(files, str) else files
    known = [None if position < 0 else position for position in positions]
    return pa.RecordBatch.from_arrays([pa.array(column, field.type) for column, field in zip(
        (reasons, files, known, values), REJECTED_SCHEMA, strict=True)], schema=REJECTED_SCHEMA)


def _split(batch: pa.RecordBatch, raw: RawBatch, good: np.ndarray, log: LogSpec
           ) -> tuple[dict[str, pa.RecordBatch], Counter[str]]:
    """Good rows by split, and how many the configuration leaves out, by reason."""
    filtered: Counter[str] = Counter()
    ignored = [name for name, weight in log.relations.items() if not weight]
    if ignored:
        weightless = good & _as_mask(pc.is_in(_relation(batch, log), pa.array(ignored)))
        filtered["relation of weight 0"] = int(weightless.sum())
        good = good & ~weightless
    parts, outside = {}, good
    for split, inside in _windows(batch, good, log):
        outside = outside & ~inside
        part = canonical(batch.filter(pa.array(inside)), raw, inside, log)
        sampled = _sampled(part, log, log.negative_rates[split]) if split in log.negative_rates else part
        filtered["negative down-sampling"] += part.num_rows - sampled.num_rows
        if sampled.num_rows:
            parts[split] = sampled
    filtered["outside every window"] = int(outside.sum())
    return parts, filtered


def _windows(batch: pa.RecordBatch, good: np.ndarray, log: LogSpec) -> Iterator[tuple[str, np.ndarray]]:
    if not log.windows:
        yield "all", good
        return
    values = to_int64(batch[log.schema.window]).fill_null(0).to_numpy(zero_copy_only=False)
    for split, interval in log.windows.items():
        start, end = interval.bounds
        yield split, good & (values >= start) & (values < end)


def _sampled(part: pa.RecordBatch, log: LogSpec, rate: float) -> pa.RecordBatch:
    """All positives, and the negatives whose hash falls below the rate, whenever and wherever they are read."""
    chosen = fraction(mix(event_hash(part, log.context_features) + SAMPLING_SALT)) < rate
    return part.filter(pa.array(chosen | (part[LABEL].to_numpy() != 0)))


def canonical(batch: pa.RecordBatch, raw: RawBatch, kept: np.ndarray, log: LogSpec) -> pa.RecordBatch:
    """Columns under their declared names and types; ``kept`` are the rows of the raw batch that came to be here."""
    schema = log.schema
    columns = {
        USER_ID: batch[schema.user.column].cast(ARROW_TYPES[schema.user.dtype]),
        ITEM_ID: batch[schema.item.column].cast(ARROW_TYPES[schema.item.dtype]),
        TIME: to_int64(batch[schema.time]),
    }
    if log.relations:
        columns[RELATION] = pc.index_in(_relation(batch, log), pa.array(list(log.relations)))
    if log.request:
        columns[REQUEST] = request_hash(columns[USER_ID], batch[log.request])
    columns |= {name: batch[column].cast(pa.float32()) for name, column in log.labels.items()}
    columns |= {feature.name: feature.clean(batch[feature.source_column]) for feature in log.context_features}
    if log.reject_duplicates:
        columns[FILE] = pa.DictionaryArray.from_arrays(np.zeros(batch.num_rows, np.int32), [raw.path])
        columns[POSITION] = pa.array(raw.positions[kept])
    return pa.RecordBatch.from_pydict(columns)


def to_int64(column: pa.Array) -> pa.Array:
    """int64: integers as they are, dates and timestamps in microseconds since 1970-01-01 UTC."""
    if pa.types.is_integer(column.type):
        return column.cast(pa.int64())
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    return column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())


def _relation(batch: pa.RecordBatch, log: LogSpec) -> pa.Array:
    assert log.schema.relation is not None
    return batch[log.schema.relation].cast(pa.string())


def _is_missing(column: pa.Array) -> np.ndarray:
    missing = pc.is_null(column)
    if not pa.types.is_integer(column.type):
        missing = pc.or_(missing, pc.equal(pc.binary_length(column.cast(pa.string())), 0).fill_null(True))
    return _as_mask(missing)


def _as_mask(values: pa.Array) -> np.ndarray:
    return values.fill_null(False).to_numpy(zero_copy_only=False)
