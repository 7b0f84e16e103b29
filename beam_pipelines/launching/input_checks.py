"""Checks the input tables before a pipeline starts, so that a wrong column is reported within seconds."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.column_readers import ColumnReader, conflict
from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.sources.own_source import OwnSource
from beam_pipelines.transforms.side_tables import SIDE_TABLES, read_side_table, require_ids, side_table_readers
from tfrs_pretrain.config.dataset import FORMATS
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.features.contract_check import check_own_feature
from tfrs_pretrain.features.registry import BUILT_IN_KINDS
from tfrs_pretrain.features.stored_types import (
    ID_TYPES,
    STORED_TYPES,
    StoredType,
    has_text,
    is_flag_or_number,
    is_number,
    is_text,
)
from tfrs_pretrain.own_code import FEATURES, SOURCES, refuse_taken_names
from tfrs_pretrain.schema import IdSpace

ExpectedTypes = dict[str, StoredType]  # column -> Arrow types that it may have


def check_inputs(job: Job, logs: Iterable[LogSpec]) -> None:
    """Checks that every table exists and that every column has a supported type.

    Raises:
      UserError: names the table, the column, the expected and the actual type.
    """
    refuse_taken_names(SOURCES, FORMATS)
    refuse_taken_names(FEATURES, BUILT_IN_KINDS)
    for feature in job.schema.features:
        check_own_feature(feature)
    names = set()
    for log in logs:
        check_own_source(job, log.table, log.columns)
        check_columns(job, log.table, log_types(log), log.readers)
        names.add(log.name)
    if "history" in names:
        check_time_types(job)
    for table in SIDE_TABLES:
        # Only impressions have side features.
        if "impressions" in names and job.features(table):
            space = job.schema.id_spaces[table.removesuffix("s")]
            check_own_source(job, table, [space.column, *(each.source_column for each in job.features(table))])
            check_columns(job, table, _add_types({space.column: _id_type(space)}, _feature_types(job.features(table))),
                          side_table_readers(space, job.features(table)))
            check_ids(job, table, space)


def check_own_source(job: Job, table: str, columns: list[str]) -> None:
    """Checks the source of an installed package.

    Raises:
      UserError: see ``OwnSource.check``.
    """
    source = job.source(table)
    if isinstance(source, OwnSource):
        source.check(columns)


def log_types(log: LogSpec) -> ExpectedTypes:
    """Returns the supported types of a log's columns."""
    schema = log.schema
    expected: ExpectedTypes = {
        schema.user.column: _id_type(schema.user),
        schema.item.column: _id_type(schema.item),
        schema.time: StoredType("integer, date, timestamp or ISO 8601 string",
                                lambda dtype: is_number(dtype) or _is_time(dtype)),
    }
    if log.windows:
        has_unit = log.time_rules.unit is not None
        expected[schema.window] = (
            StoredType("date, timestamp or ISO 8601 string (the windows are dates)",
                       lambda dtype: _is_time(dtype) or (has_unit and is_number(dtype))) if log.has_date_windows
            else StoredType("integer (the windows are integers)", is_number))
    if log.relations and schema.relation:
        expected[schema.relation] = StoredType("string or integer", has_text)
    if log.request and log.request not in expected:
        expected[log.request] = StoredType(
            "string, integer, date or timestamp",
            lambda dtype: has_text(dtype) or _is_time(dtype))
    number = StoredType("integer, boolean or float", is_flag_or_number)
    _add_types(expected, ((column, number) for column in log.labels.values() if column not in log.computed_labels))
    _add_types(expected, ((column, STORED_TYPES["float32"]) for column in log.weights.values()))
    _add_types(expected, ((condition.column, number if condition.is_numeric else STORED_TYPES["string"])
                          for condition in log.conditions.values()))
    return _add_types(expected, _feature_types(log.context_features))


def check_columns(job: Job, table: str, expected: ExpectedTypes, readers: list[ColumnReader]) -> None:
    """Checks the columns of each part of a table, as far as its format declares them.

    Raises:
      UserError: a column is missing, has another type, or contains texts that must be parsed as two types.
    """
    for path, types in job.source(table).column_types():
        for column, stored_type in expected.items():
            if types is None:
                continue
            if column not in types:
                raise UserError(f"table {table}: {path!r} has no column {column!r} (expected "
                                f"{stored_type.description}); it has {list(types)}. Correct the schema section of the "
                                "configuration or the file")
            dtype = types[column]
            if dtype is not None and not pa.types.is_null(dtype) and not stored_type.accepts(dtype):
                raise UserError(f"table {table}: column {column!r} of {path!r} is {dtype}, expected "
                                f"{stored_type.description}. Correct the schema section of the configuration or the "
                                "file")
        for column in expected:
            if types is None or types.get(column) is None or is_text(types[column]):
                _check_one_parse(table, path, column, readers)


def _check_one_parse(table: str, path: str, column: str, readers: list[ColumnReader]) -> None:
    if problem := conflict(column, readers):
        raise UserError(f"table {table}: column {column!r} of {path!r} contains texts, which are parsed only once, but "
                        f"{problem}. Declare one type for all of them, or write the column twice under two names")


def check_time_types(job: Job) -> None:
    """Checks that both logs store times alike: a history and sampled negatives compare the times of both.

    Raises:
      UserError: one log has integers without a unit, the other timestamps; or negatives are sampled and one has.
    """
    found = {log.table: set(_time_types(log, job)) for log in (job.history, job.impressions)}
    if job.config.dataset.implicit_feedback and "integer" in set.union(*found.values()):
        table = next(table for table, types in found.items() if "integer" in types)
        raise UserError(f"dataset.implicit_feedback draws from popularity_days before a positive, but column "
                        f"{job.schema.time!r} of {table} has integers without a unit: set "
                        f"dataset.sources.{table}.time_unit, or store timestamps")
    if len(set.union(*found.values())) > 1:
        raise UserError(f"{job.compares_times} compares column {job.schema.time!r} of both logs, but its values are "
                        f"{', '.join(f'{sorted(types)} in {table}' for table, types in found.items())}: store "
                        "both as timestamps or both as integers, or set time_unit of the integers in dataset.sources")


def _time_types(log: LogSpec, job: Job) -> Iterator[str]:
    for _, types in job.source(log.table).column_types():
        dtype = (types or {}).get(log.schema.time)
        if dtype is None or not pa.types.is_null(dtype):
            yield _time_type(log, dtype)


def _time_type(log: LogSpec, dtype: pa.DataType | None) -> str:
    integer = log.time == "integer" if dtype is None or is_text(dtype) else is_number(dtype)
    return "integer" if integer and log.time_rules.unit is None else "timestamp"


def check_ids(job: Job, table: str, space: IdSpace) -> None:
    """Checks that a side table has each id once; otherwise the result of a join would be arbitrary.

    Raises:
      UserError: an id is missing, or occurs repeatedly.
    """
    ids = read_side_table(table, job.source(table), {space.column: space.dtype})[space.column]
    require_ids(table, space.column, ids)
    counts = pc.value_counts(ids)
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated):
        value, count = repeated[0].as_py().values()
        raise UserError(f"table {table}: id {value!r} in column {space.column!r} occurs {count} times "
                        f"({len(repeated)} ids repeat), expected each id once; remove the duplicates")


def _add_types(expected: ExpectedTypes, added: Iterable[tuple[str, StoredType]]) -> ExpectedTypes:
    """Adds columns with their types; a column that is already there must have a type that both accept."""
    for column, stored_type in added:
        expected[column] = expected[column].also(stored_type) if column in expected else stored_type
    return expected


def _feature_types(features: tuple[Feature, ...]) -> Iterable[tuple[str, StoredType]]:
    return ((feature.source_column, feature.stored_type) for feature in features)


def _id_type(space: IdSpace) -> StoredType:
    return ID_TYPES[space.dtype]


def _is_time(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(dtype) or pa.types.is_date(dtype)) or is_text(dtype)
