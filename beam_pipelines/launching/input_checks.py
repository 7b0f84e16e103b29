"""Checks of the inputs before a pipeline starts, so that a mistake costs seconds and gets one clear line."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.transforms.side_tables import SIDE_TABLES, read_side_table
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.features.stored_types import STORED_TYPES, StoredType, is_integer, is_number, is_text
from tfrs_pretrain.schema import IdSpace

# Column -> Arrow types that it may have.
Expectations = dict[str, StoredType]


def check_inputs(job: Job, logs: Iterable[LogSpec]) -> None:
    """Checks that every table that the logs need is there and every needed column has the right type.

    Raises:
      UserError: names table, column, what was expected and what was found.
    """
    names = set()
    for log in logs:
        check_columns(job, log.table, log_columns(log))
        names.add(log.name)
    if "history" in names:
        check_times(job)
    for table in SIDE_TABLES:
        # Side features are of impressions.
        if "impressions" in names and job.features(table):
            space = job.schema.id_spaces[table.removesuffix("s")]
            check_columns(job, table, {space.column: _id_type(space)} | _feature_types(job.features(table)))
            check_unique(job, table, space)


def log_columns(log: LogSpec) -> Expectations:
    """What the columns of a log must be."""
    schema = log.schema
    expected: Expectations = {
        schema.user.column: _id_type(schema.user),
        schema.item.column: _id_type(schema.item),
        schema.time: StoredType("integer, date or timestamp", lambda kind: is_integer(kind) or _is_temporal(kind)),
    }
    if log.windows:
        expected[schema.window] = (
            StoredType("date or timestamp (the windows are dates)", _is_temporal) if log.has_date_windows
            else StoredType("integer (the windows are integers)", is_integer))
    if log.relations and schema.relation:
        expected[schema.relation] = StoredType("string or integer", lambda kind: is_text(kind) or is_integer(kind))
    if log.request and log.request not in expected:
        expected[log.request] = StoredType(
            "string, integer, date or timestamp",
            lambda kind: is_text(kind) or is_integer(kind) or _is_temporal(kind))
    for column in log.labels.values():
        expected[column] = StoredType("integer, boolean or float",
                                      lambda kind: is_number(kind) or pa.types.is_boolean(kind))
    return expected | _feature_types(log.context_features)


def check_columns(job: Job, table: str, expected: Expectations) -> None:
    """Compares the columns of each part of a table with what is expected, where its format knows them."""
    for path, types in job.source(table).column_types():
        if types is None:
            continue
        for column, wanted in expected.items():
            if column not in types:
                raise UserError(f"table {table}: {path!r} has no column {column!r} (expected {wanted.description}); "
                                f"it has {list(types)}. Correct the schema section of the configuration or the file")
            kind = types[column]
            if kind is not None and not wanted.accepts(kind):
                raise UserError(f"table {table}: column {column!r} of {path!r} is {kind}, "
                                f"expected {wanted.description}. Correct the schema section of the configuration or "
                                "the file")


def check_times(job: Job) -> None:
    """A history compares times of both logs, which must therefore be of one sort."""
    sorts = {log.table: {_sort(log, types) for _, types in job.source(log.table).column_types()}
             for log in (job.history, job.impressions)}
    if len(set.union(*sorts.values())) > 1:
        raise UserError(f"schema.history compares column {job.schema.time!r} of both logs, but its values are "
                        f"{', '.join(f'{sorted(sort)} in {table}' for table, sort in sorts.items())}: store "
                        "both as timestamps or both as integers")


def _sort(log: LogSpec, types: dict[str, pa.DataType | None] | None) -> str:
    kind = (types or {}).get(log.schema.time)
    if kind is None:
        return log.time
    return "integer" if is_integer(kind) else "timestamp"


def check_unique(job: Job, table: str, space: IdSpace) -> None:
    """A side table must hold each id once, else a join would choose."""
    ids = read_side_table(table, job.source(table), {space.column: space.dtype})[space.column]
    counts = pc.value_counts(ids)
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated):
        value, count = repeated[0].as_py().values()
        raise UserError(f"table {table}: id {value!r} in column {space.column!r} occurs {count} times "
                        f"({len(repeated)} ids repeat), expected each id once; remove the duplicates")


def _feature_types(features: tuple[Feature, ...]) -> Expectations:
    return {feature.source_column: feature.stored_type for feature in features}


def _id_type(space: IdSpace) -> StoredType:
    return STORED_TYPES[space.dtype]


def _is_temporal(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind)
