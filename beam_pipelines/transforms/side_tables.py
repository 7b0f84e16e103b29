"""Item and user features: side tables that each worker loads once and joins by id."""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.utils.shared import Shared

from beam_pipelines.jobs.column_readers import ColumnReader, feature_readers, value_types
from beam_pipelines.jobs.job import Job
from beam_pipelines.logs.row_checks import exceeds
from beam_pipelines.logs.stored_values import convert
from beam_pipelines.sources import RawBatch, TableSource
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.features.lists import filled
from tfrs_pretrain.features.stored_types import is_text, plain_type
from tfrs_pretrain.schema import ITEM_ID, USER_ID, IdSpace
from tfrs_pretrain.value_types import ARROW_TYPES

SIDE_TABLES = {"items": ITEM_ID, "users": USER_ID}


def match_column(table: str) -> str:
    """Column that the join with a side table adds: null for an id that is not in the table."""
    return f"@{table}"


class SideTable:
    """Features of one table, by id.

    Args:
      ids: Arrow int64 or string array [n], unique, without nulls.
      columns: feature name -> Arrow array [n], as ``Feature.clean`` returns it.
    """

    def __init__(self, ids: pa.Array, columns: dict[str, pa.Array]):
        self._index = _to_index(ids)
        self._columns = columns

    @classmethod
    def read(cls, table: str, source: TableSource, space: IdSpace, features: tuple[Feature, ...]) -> "SideTable":
        """Reads the id and the features of a table; adds ``match_column``.

        Raises:
          UserError: see ``read_side_table``.
        """
        content = read_side_table(table, source, value_types(side_table_readers(space, features))).combine_chunks()
        require_ids(table, space.column, content[space.column])
        ids = content[space.column].cast(ARROW_TYPES[space.dtype]).combine_chunks()
        matched = {match_column(table): pa.repeat(True, len(ids))}
        return cls(ids, matched | {feature.name: feature.clean(_to_array(content[feature.source_column]))
                                   for feature in features})

    def lookup(self, ids: pa.Array) -> dict[str, pa.Array]:
        """Returns feature name -> values [m] for m ids; null (an empty list) for an id that is not in the table."""
        places = self._index.get_indexer(_to_index(ids))
        indices = pa.array(places, pa.int64(), mask=places < 0)
        taken = {name: column.take(indices) for name, column in self._columns.items()}
        return {name: filled(column) if pa.types.is_list(column.type) else column for name, column in taken.items()}


def _to_index(ids: pa.Array) -> pd.Index:
    """Indexes ids by their own type: with a null, integers would become floats, which are not exact above 2^53."""
    assert not ids.null_count, "ids of a join must not be null"
    dtype = np.int64 if pa.types.is_integer(ids.type) else object
    index: pd.Index = pd.Index(ids.to_numpy(zero_copy_only=False), dtype=dtype)
    return index


def side_table_readers(space: IdSpace, features: tuple[Feature, ...]) -> list[ColumnReader]:
    """Returns everything that reads a column of a side table."""
    return [*feature_readers(features), ColumnReader(space.column, "its id", space.dtype)]


def require_ids(table: str, column: str, ids: pa.ChunkedArray) -> None:
    """Checks that each row of a side table has an id.

    Raises:
      UserError: states the number of rows without one.
    """
    missing = pc.is_null(ids)
    if is_text(ids.type):
        missing = pc.or_(missing, pc.equal(ids.cast(pa.large_string()), "").fill_null(True))
    if count := pc.sum(missing).as_py():
        raise UserError(f"table {table}: {count} of {len(ids)} rows have no id in column {column!r} (the first is row "
                        f"{pc.index(missing, True).as_py()}, counted from 0), expected one for each row; remove them")


class JoinSideFeatures(beam.PTransform):
    """Adds item and user features, and ``match_column`` of each table, to cleaned ``(split, batch)`` elements."""

    def __init__(self, job: Job):
        super().__init__()
        self._job = job

    def expand(
        self, split_to_batch: beam.PCollection[tuple[str, pa.RecordBatch]]
    ) -> beam.PCollection[tuple[str, pa.RecordBatch]]:
        return split_to_batch | "JoinBatch" >> beam.ParDo(_JoinBatch(self._job)).with_output_types(
            tuple[str, pa.RecordBatch])


class _JoinBatch(beam.DoFn):
    def __init__(self, job: Job):
        self._job, self._shared = job, Shared()

    def setup(self) -> None:
        self._tables = self._shared.acquire(lambda: _SideTables(self._job)).by_id

    def process(self, element: tuple[str, pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        split, batch = element
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for id_column, table in self._tables.items():
            columns |= table.lookup(batch[id_column])
        yield split, pa.RecordBatch.from_pydict(columns)


class _SideTables:
    """The side tables that the schema uses, by the id column for the join. Shared among the threads of a worker."""

    def __init__(self, job: Job):
        spaces = {"items": job.schema.item, "users": job.schema.user}
        self.by_id = {id_column: SideTable.read(table, job.source(table), spaces[table], job.features(table))
                      for table, id_column in SIDE_TABLES.items() if job.features(table)}


def read_side_table(table: str, source: TableSource, types: dict[str, str]) -> pa.Table:
    """Reads columns of a whole table; parses text values.

    Args:
      table: name for messages.
      source: where to read it.
      types: column -> value type, see ``text_values.parse``.

    Raises:
      UserError: a part is missing or unreadable, a column has no row, or a row is malformed: rows of side
        tables are never skipped.
    """
    batches = list(source.read_all(list(types)))
    if not batches:
        raise UserError(f"table {table}: {source} has no rows, expected one for each id")
    parts = [_parse(table, raw, types, source.limits.max_id_bytes) for raw in batches]
    present: frozenset[str] = frozenset().union(*(raw.present for raw in batches))
    for column in types:
        if column not in present and any(raw.columns.num_rows for raw in batches):
            raise UserError(f"table {table}: no row of {source} has a column {column!r}; correct the schema section of "
                            "the configuration or the table")
    return pa.concat_tables([pa.Table.from_batches([part]) for part in parts], promote_options="permissive")


def _parse(table: str, raw: RawBatch, types: dict[str, str], max_bytes: int) -> pa.RecordBatch:
    for row in raw.malformed:
        raise UserError(f"table {table}: {raw.path!r}, line {row.position}: {row.reason} ({row.text[:80]!r}); "
                        "correct it")
    columns = {}
    for name, value_type in types.items():
        plain = columns[name] = raw.columns[name].cast(plain_type(raw.columns[name].type))
        if converted := convert(plain, value_type):
            columns[name], unparsable = converted
            for place in np.flatnonzero(unparsable)[:1].tolist():
                raise UserError(f"table {table}: {raw.path!r}, position {raw.positions[place]}: column {name!r} is "
                                f"{raw.columns[name][place].as_py()!r}, expected {value_type}; correct it")
        if value_type.startswith("string"):
            for place in np.flatnonzero(exceeds(columns[name], max_bytes))[:1].tolist():
                raise UserError(f"table {table}: {raw.path!r}, position {raw.positions[place]}: column {name!r} has a "
                                f"text of more than dataset.max_id_bytes = {max_bytes} bytes; correct it")
    return pa.RecordBatch.from_pydict(columns)


def _to_array(column: pa.ChunkedArray) -> pa.Array:
    return column.unify_dictionaries().combine_chunks()
